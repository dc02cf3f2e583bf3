"""Reports on how titles were encoded: put together from a manifest and the plan that led to it, kept in Sql, one a version."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec
import sqlalchemy as sa

from kinema.core.errors import NotFound
from kinema.model.encoding import Manifest, Track
from kinema.model.encoding_report import EncodingReport, RatePoint, RungReport, ShotReport, StepCost
from kinema.services.encoding.flow.savings import saved_share
from kinema.services.encoding.tables import reports
from kinema.storage.ports import Sql

_KEPT = 5  # of a title, the latest


class Reports:
    """Reads and writes reports."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def keep(self, report: EncodingReport) -> None:
        """Store a report in place of an earlier one on the same version; the oldest of the title go."""
        same = sa.and_(reports.c.asset == report.asset, reports.c.version == report.version)
        row = {
            "asset": report.asset,
            "version": report.version,
            "title_id": report.title_id,
            "body": msgspec.json.encode(report),
            "created_at": report.created_at,
        }
        mine = reports.c.title_id == report.title_id
        newest = (
            sa.select(reports.c.created_at).where(mine).order_by(reports.c.created_at.desc()).offset(_KEPT).limit(1)
        )
        async with self._sql.transaction() as connection:
            await connection.execute(sa.delete(reports).where(same))
            await connection.execute(sa.insert(reports).values(row))
            last = await connection.scalar(newest)
            if last is not None:
                await connection.execute(sa.delete(reports).where(mine, reports.c.created_at <= last))

    async def latest(self, title_id: str) -> EncodingReport:
        """Return the report on a title's newest version. Raises NotFound."""
        query = (
            sa.select(reports.c.body)
            .where(reports.c.title_id == title_id)
            .order_by(reports.c.created_at.desc(), reports.c.version.desc())
            .limit(1)
        )
        async with self._sql.read() as connection:
            body = await connection.scalar(query)
        if body is None:
            raise NotFound(f"There is no report on title {title_id}; it comes with the title's first full version.")
        return msgspec.json.decode(body, type=EncodingReport)


def rung_report(track: Track, planned_bits: int = 0, planned_vmaf: float = 0.0, reason: str = "") -> RungReport:
    """Describe a published rung beside what was planned of it."""
    return RungReport(
        name=track.name,
        codec=track.codec,
        width=track.width,
        height=track.height,
        bits_per_second=track.average_bandwidth,
        peak_bits_per_second=track.bandwidth,
        vmaf=round(mean_vmaf(track), 2),
        planned_bits_per_second=planned_bits,
        planned_vmaf=round(planned_vmaf, 2),
        reason=reason,
    )


def mean_vmaf(track: Track) -> float:
    """Return the mean VMAF of a rung over its time; 0 when a segment was not measured."""
    ticks = sum(segment.duration for segment in track.segments)
    if not ticks or any(segment.vmaf <= 0 for segment in track.segments):
        return 0.0
    return sum(segment.vmaf * segment.duration for segment in track.segments) / ticks


def shot_reports(track: Track, starts: Sequence[float]) -> tuple[ShotReport, ...]:
    """Sum up a rung's segments by shots that begin at these seconds (the first at 0); a segment belongs to one shot."""
    found: list[list[tuple[float, float, int, float]]] = [[] for _ in starts]
    at = Fraction(0)
    index = 0
    for segment in track.segments:
        seconds = Fraction(segment.duration, track.timescale)
        middle = float(at + seconds / 2)
        while index + 1 < len(starts) and starts[index + 1] <= middle:
            index += 1
        found[index].append((float(at), float(seconds), segment.length, segment.vmaf))
        at += seconds
    return tuple(_shot(parts) for parts in found if parts)


def _shot(parts: list[tuple[float, float, int, float]]) -> ShotReport:
    seconds = sum(part[1] for part in parts)
    measured = all(part[3] > 0 for part in parts)
    return ShotReport(
        start_seconds=round(parts[0][0], 3),
        seconds=round(seconds, 3),
        bits_per_second=round(sum(part[2] for part in parts) * 8 / seconds),
        vmaf=round(sum(part[3] * part[1] for part in parts) / seconds, 2) if measured else 0.0,
    )


def costs_of(steps: Iterable[tuple[str, float]]) -> tuple[StepCost, ...]:
    """Sum up steps, each given as its kind and its processor time, the dearest kind first."""
    found: dict[str, list[float]] = {}
    for kind, cpu_seconds in steps:
        found.setdefault(kind, []).append(cpu_seconds)
    costs = [StepCost(kind, len(each), round(sum(each), 2)) for kind, each in found.items()]
    return tuple(sorted(costs, key=lambda cost: cost.cpu_seconds, reverse=True))


def savings(rungs: Sequence[RungReport], fixed: Sequence[RatePoint]) -> float | None:
    """Return what the rungs save beside the fixed ladder at the same quality, None when one of them was not measured."""
    share = saved_share(
        [(rung.bits_per_second, rung.vmaf or rung.planned_vmaf) for rung in rungs],
        [(point.bits_per_second, point.vmaf) for point in fixed],
    )
    return None if share is None else round(share, 4)


def bare_report(manifest: Manifest, title: str, cpu_seconds: float) -> EncodingReport:
    """Return the report on a version that came of no plan: what was published, its segments on the time line, what it cost."""
    videos = [track for track in manifest.tracks if track.kind == "video"]
    best = max(videos, key=lambda track: (track.width * track.height, track.average_bandwidth))
    starts = [0.0]
    for segment in best.segments[:-1]:
        starts.append(starts[-1] + segment.duration / best.timescale)
    return EncodingReport(
        title_id=manifest.title_id,
        title=title,
        asset=manifest.asset,
        version=manifest.version,
        created_at=manifest.created_at,
        duration_seconds=manifest.duration_seconds,
        frame_rate=best.frame_rate,
        width=best.width,
        height=best.height,
        quality_model=manifest.quality_model,
        probes=(),
        hull=(),
        rungs=tuple(rung_report(track) for track in videos),
        fixed=(),
        shots=shot_reports(best, starts),
        costs=(),
        cpu_seconds=round(cpu_seconds, 2),
        saved_share=None,
    )
