"""The rows of telemetry: written a bundle of reports at a time, read by number (reports) or by trace."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.errors import NotFound
from kinema.core.histogram import BUCKETS
from kinema.model.telemetry import Batch, LogLine, ProcessUsage, RedDelta, ResilienceState, Span, Trace
from kinema.observe.objectives import Objective
from kinema.services.telemetry.tables import indicators, lines, processes, reports, spans, traces
from kinema.services.telemetry.traces import TraceRow, merged
from kinema.storage.ports import Sql

_AT_ONCE = 200  # spans; about 3 ms of work
_CHUNK = 400  # names in one question; every engine takes so many
_MOST_SHOWN = 2000  # spans and lines of one waterfall
_MINUTE = 60

_deltas = msgspec.msgpack.Decoder(tuple[RedDelta, ...])
_span = msgspec.msgpack.Decoder(Span)
_line = msgspec.msgpack.Decoder(LogLine)


class ProcessRow(msgspec.Struct, frozen=True):
    """The last report of a process."""

    process: str
    reported_at: float
    services: tuple[str, ...]
    usage: ProcessUsage | None
    resilience: ResilienceState


class Repository:
    """Reads and writes everything but what `retention` deletes. `objectives` are counted as reports come in."""

    def __init__(self, sql: Sql, objectives: Sequence[Objective]) -> None:
        self._sql = sql
        self._objectives = objectives

    async def store(self, batches: Sequence[Batch], now: float) -> None:
        """Write reports in one transaction; those that were written before are left out."""
        async with self._sql.transaction() as connection:
            fresh = await self._fresh(connection, batches, now)
            if not fresh:
                return
            rows = [{"at": batch.at, "body": msgspec.msgpack.encode(batch.reds)} for batch in fresh if batch.reds]
            if rows:
                await connection.execute(sa.insert(reports), rows)
            await self._count(connection, fresh)
            reported = [span for batch in fresh for span in batch.spans]
            for start in range(0, len(reported), _AT_ONCE):  # others on this event loop want their turn in between
                await _store_spans(connection, reported[start : start + _AT_ONCE], now)
            logged = [line for batch in fresh for line in batch.logs]
            if logged:
                values = [
                    {"trace_id": line.trace_id[:32], "at": line.at, "body": msgspec.msgpack.encode(line)}
                    for line in logged
                ]
                await connection.execute(sa.insert(lines), values)

    async def reports(self, after: int, since: float, limit: int) -> list[tuple[int, float, tuple[RedDelta, ...]]]:
        """Return up to `limit` reports with numbers above `after` and not older than `since`, in their order."""
        query = (
            sa.select(reports.c.number, reports.c.at, reports.c.body)
            .where(reports.c.number > after, reports.c.at >= since)
            .order_by(reports.c.number)
            .limit(limit)
        )
        async with self._sql.read() as connection:
            rows = (await connection.execute(query)).all()
        return [(row.number, row.at, _deltas.decode(row.body)) for row in rows]

    async def noticed(self, since: float, limit: int) -> tuple[str, ...]:
        """Return the traces that were found to be in error or slow since then, newest first."""
        query = (
            sa.select(traces.c.trace_id)
            .where(traces.c.noticed_at >= since)
            .order_by(traces.c.noticed_at.desc())
            .limit(limit)
        )
        async with self._sql.read() as connection:
            return tuple(row.trace_id for row in await connection.execute(query))

    async def processes(self, since: float) -> list[ProcessRow]:
        """Return the processes that have reported since then, by name."""
        query = sa.select(processes).where(processes.c.reported_at >= since).order_by(processes.c.process)
        async with self._sql.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            ProcessRow(
                process=row.process,
                reported_at=row.reported_at,
                services=msgspec.json.decode(row.services, type=tuple[str, ...]),
                usage=msgspec.json.decode(row.usage, type=ProcessUsage | None),
                resilience=msgspec.json.decode(row.resilience, type=ResilienceState),
            )
            for row in rows
        ]

    async def find_traces(
        self, *, order: str, errors: bool, service: str, route: str, least_seconds: float, since: float, limit: int
    ) -> list[TraceRow]:
        """Return traces that began since then, `order` "recent" or "slow"; empty texts choose all."""
        query = sa.select(traces).where(traces.c.started_at >= since)
        if errors:
            query = query.where(traces.c.error.is_(True))
        if least_seconds:
            query = query.where(traces.c.seconds >= least_seconds)
        if service or route:
            with_it = sa.select(spans.c.trace_id).where(spans.c.started_at >= since)
            if service:
                with_it = with_it.where(spans.c.service == service)
            if route:
                with_it = with_it.where(spans.c.name == route)
            query = query.where(traces.c.trace_id.in_(with_it))
        by = traces.c.seconds.desc() if order == "slow" else traces.c.started_at.desc()
        async with self._sql.read() as connection:
            rows = (await connection.execute(query.order_by(by).limit(limit))).all()
        return [TraceRow(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's documented name

    async def trace(self, trace_id: str) -> Trace:
        """Return the waterfall of a trace. Raises NotFound."""
        of_spans = sa.select(spans.c.body).where(spans.c.trace_id == trace_id).limit(_MOST_SHOWN)
        of_lines = sa.select(lines.c.body).where(lines.c.trace_id == trace_id).order_by(lines.c.at).limit(_MOST_SHOWN)
        async with self._sql.read() as connection:
            bodies = (await connection.execute(of_spans)).scalars().all()
            logged = (await connection.execute(of_lines)).scalars().all()
        if not bodies and not logged:
            raise NotFound(
                f"Nothing is kept of {trace_id!r}; it is too old, was not sampled, or will be reported within seconds."
            )
        found = {span.span_id: span for span in map(_span.decode, bodies)}
        ordered = tuple(sorted(found.values(), key=lambda span: (span.started_at, -span.seconds)))
        start = min((span.started_at for span in ordered), default=0.0)
        end = max((span.started_at + span.seconds for span in ordered), default=0.0)
        return Trace(trace_id, start, end - start, ordered, tuple(map(_line.decode, logged)))

    async def counts(self, since: Iterable[int]) -> dict[int, dict[str, tuple[int, int]]]:
        """Return good and all requests of each objective from each of these times on."""
        found: dict[int, dict[str, tuple[int, int]]] = {}
        async with self._sql.read() as connection:
            for at in since:
                query = (
                    sa.select(indicators.c.objective, sa.func.sum(indicators.c.good), sa.func.sum(indicators.c.total))
                    .where(indicators.c.at >= at)
                    .group_by(indicators.c.objective)
                )
                found[at] = {name: (int(good), int(total)) for name, good, total in await connection.execute(query)}
        return found

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _fresh(self, connection: AsyncConnection, batches: Sequence[Batch], now: float) -> list[Batch]:
        """Return the reports that were not written before, and remember their processes' last ones."""
        names = {batch.process for batch in batches}
        query = sa.select(processes.c.process, processes.c.boot, processes.c.sequence).where(
            processes.c.process.in_(names)
        )
        last = {row.process: (row.boot, row.sequence) for row in await connection.execute(query)}
        fresh: list[Batch] = []
        known = set(last)
        for batch in sorted(batches, key=lambda batch: batch.sequence):
            boot, sequence = last.get(batch.process, ("", -1))
            if batch.boot == boot and batch.sequence <= sequence:
                continue
            fresh.append(batch)
            last[batch.process] = (batch.boot, batch.sequence)
        newest = {batch.process: batch for batch in fresh}
        for batch in newest.values():
            values = {
                "boot": batch.boot,
                "sequence": batch.sequence,
                "reported_at": now,
                "services": msgspec.json.encode(batch.services).decode(),
                "usage": msgspec.json.encode(batch.usage).decode(),
                "resilience": msgspec.json.encode(batch.resilience).decode(),
            }
            if batch.process in known:
                await connection.execute(
                    sa.update(processes).where(processes.c.process == batch.process).values(**values)
                )
            else:
                await connection.execute(sa.insert(processes).values(process=batch.process, **values))
        return fresh

    async def _count(self, connection: AsyncConnection, batches: Sequence[Batch]) -> None:
        """Add the reports to the minutes of the objectives that they concern."""
        sums: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for batch in batches:
            minute = int(batch.at // _MINUTE) * _MINUTE
            for delta in batch.reds:
                for objective in self._objectives:
                    if objective.covers(delta.kind, delta.service, delta.route):
                        good, total = objective.good(_dense(delta), delta.statuses)
                        both = sums[objective.name, minute]
                        both[0] += good
                        both[1] += total
        for (name, minute), (good, total) in sums.items():
            if not total:
                continue
            this = sa.and_(indicators.c.objective == name, indicators.c.at == minute)
            more = {"good": indicators.c.good + good, "total": indicators.c.total + total}
            if not (await connection.execute(sa.update(indicators).where(this).values(more))).rowcount:
                values = {"objective": name, "at": minute, "good": good, "total": total}
                await connection.execute(sa.insert(indicators).values(values))


def _dense(delta: RedDelta) -> list[int]:
    counts = [0] * BUCKETS
    for bucket, count in delta.counts:
        counts[bucket] += count
    return counts


async def _store_spans(connection: AsyncConnection, fresh: Sequence[Span], now: float) -> None:
    """Insert spans and bring the lines of their traces up to date."""
    by_trace: defaultdict[str, list[Span]] = defaultdict(list)
    for span in fresh:
        by_trace[span.trace_id[:32]].append(span)
    if not by_trace:
        return
    rows = await _trace_rows(connection, list(by_trace))
    changed: list[dict[str, Any]] = []
    added: list[dict[str, Any]] = []
    noticed: list[str] = []
    inserted: list[dict[str, Any]] = []
    for trace_id, found in by_trace.items():
        before = rows.get(trace_id)
        row = merged(before, found, now)
        values = {name: getattr(row, name) for name in TraceRow.__struct_fields__}
        if before is None:
            added.append(values)
        else:
            changed.append({f"new_{name}": value for name, value in values.items()})
            if row.noticed_at and not before.noticed_at:
                noticed.append(trace_id)
        inserted += [
            {
                "trace_id": trace_id,
                "service": span.service[:64],
                "name": span.name[:240],
                "started_at": span.started_at,
                "keep_until": row.keep_until,
                "body": msgspec.msgpack.encode(span),
            }
            for span in found
        ]
    await connection.execute(sa.insert(spans), inserted)
    if added:
        await connection.execute(sa.insert(traces), added)
    if changed:
        names = [name for name in TraceRow.__struct_fields__ if name != "trace_id"]
        update = (
            sa.update(traces)
            .where(traces.c.trace_id == sa.bindparam("new_trace_id"))
            .values({name: sa.bindparam(f"new_{name}") for name in names})
        )
        await connection.execute(update, changed)
    if noticed:
        until = max(row["keep_until"] for row in inserted)
        for start in range(0, len(noticed), _CHUNK):
            these = spans.c.trace_id.in_(noticed[start : start + _CHUNK])
            await connection.execute(sa.update(spans).where(these).values(keep_until=until))


async def _trace_rows(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, TraceRow]:
    found: dict[str, TraceRow] = {}
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(traces).where(traces.c.trace_id.in_(ids[start : start + _CHUNK]))
        for row in await connection.execute(query):
            found[row.trace_id] = TraceRow(**row._mapping)  # noqa: SLF001 -- as above
    return found
