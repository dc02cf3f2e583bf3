"""Backfills: a codec rolled out over titles that are there already, one job a title, in the background.

A job re-uses the title's film, its GOPs and its sound; it adds rungs and publishes the title with them as the next version of its
asset. Jobs go by how often their titles were played when the backfill began. Pausing, going on and cancelling is that of its
jobs. Rolling back serves its titles again as a version of the catalogue had them: as one more version of each asset with
the tracks of that time, so that whoever watches goes on and caches stay right.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Conflict, NotFound
from kinema.core.ids import new_id
from kinema.core.properties import Properties
from kinema.model.catalog import PublishedTitle, PublishedTitles
from kinema.model.encoding_backfill import (
    MOST_TITLES,
    Backfill,
    BackfillCodec,
    BackfillRequest,
    BackfillState,
    RolledBack,
)
from kinema.model.playback import PlayCounts
from kinema.services.encoding import job_rows as rows
from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.flow import codec_policy
from kinema.services.encoding.flow.codec_policy import PRICE_PER_CPU_HOUR, PRICE_PER_GIGABYTE, Watched
from kinema.services.encoding.publisher import Publisher
from kinema.services.encoding.tables import backfills, jobs
from kinema.storage.ports import Sql

ENCODERS: dict[BackfillCodec, str] = {"av1": "svt-av1", "hevc": "x265"}
"""The row of the codec table that makes a codec."""

_SHOWN = 50
_PICTURES_A_SECOND = 30.0  # catalog does not know a title's rate; this is for an estimate of cost only
_PROBING = 0.7  # of the final encode's processor time, at most

T = TypeVar("T")


class Calls(Protocol):
    """The part of rpc that backfills need: one call to another service."""

    async def call(self, service: str, method: str, path: str, *, type: type[T]) -> T:  # noqa: A002 -- rpc's name for it
        """Return the answer; a problem is raised as the matching core error."""
        ...


class BackfillStore:
    """Begins, shows, pauses and rolls back backfills."""

    def __init__(self, sql: Sql, clock: Clock, calls: Calls, publisher: Publisher, properties: Properties) -> None:
        self._sql = sql
        self._clock = clock
        self._calls = calls
        self._publisher = publisher
        self._properties = properties

    async def start(self, wanted: BackfillRequest) -> Backfill:
        """Queue a job for each title that lacks the codec. Raises Conflict while a backfill of the codec runs, BadInput for no title."""
        published = await self._calls.call("catalog", "GET", "/v1/internal/published", type=PublishedTitles)
        counts = await self._calls.call("playback", "GET", "/v1/internal/plays/counts", type=PlayCounts)
        plays = {one.title_id: one.plays for one in counts.titles}
        family = codec_named(ENCODERS[wanted.codec]).family
        chosen = [
            title
            for title in published.titles
            if title.complete
            and family not in title.codecs
            and (not wanted.title_ids or title.title_id in wanted.title_ids)
            and (not wanted.worthwhile or self._worthwhile(title, plays, counts.days, ENCODERS[wanted.codec]))
        ]
        backfill_id = new_id("bfl", self._clock)
        async with self._sql.transaction() as connection:
            if await connection.scalar(self._unfinished().where(jobs.c.codec == wanted.codec).limit(1)) is not None:
                raise Conflict(f"A backfill of {wanted.codec} is under way; let it end or roll it back first.")
            queued = await self._queue(connection, backfill_id, chosen[:MOST_TITLES], plays, wanted)
            if not queued:
                raise BadInput(f"No title lacks {wanted.codec} and has its film here; there is nothing to do.")
            row = {
                "backfill_id": backfill_id,
                "codec": wanted.codec,
                "catalog_version": published.catalog_version,
                "created_at": self._clock.now(),
                "rolled_back": False,
            }
            await connection.execute(sa.insert(backfills).values(row))
        return await self.get(backfill_id)

    def _worthwhile(self, title: PublishedTitle, plays: dict[str, int], days: float, encoder: str) -> bool:
        codec = codec_named(encoder)
        pictures = title.duration_seconds * _PICTURES_A_SECOND
        cost = pictures * title.pixels / 1e6 * codec.seconds[codec.preset] * (1 + _PROBING)
        watched = Watched(plays.get(title.title_id, 0), days, title.duration_seconds, title.bits_per_second)
        gigabyte, cpu_hour = self._properties[PRICE_PER_GIGABYTE], self._properties[PRICE_PER_CPU_HOUR]
        return codec_policy.worth(watched, codec_policy.GAINS[encoder], cost, gigabyte, cpu_hour).worthwhile

    async def _queue(
        self,
        connection: AsyncConnection,
        backfill_id: str,
        chosen: Sequence[PublishedTitle],
        plays: dict[str, int],
        wanted: BackfillRequest,
    ) -> int:
        """Queue the jobs of titles whose film is known here and whose own job has ended; return how many."""
        films = {
            row.asset: row.source
            for row in await connection.execute(
                sa.select(jobs.c.asset, jobs.c.source).where(jobs.c.source.is_not(None), jobs.c.state == "done")
            )
        }
        queued = 0
        for title in sorted(chosen, key=lambda one: (-plays.get(one.title_id, 0), one.title_id)):
            if (film := films.get(title.asset)) is None:
                continue
            row = rows.new_row(title.title_id, "", title.asset, title.title, self._clock)
            row |= {
                "source": film,
                "playable": True,
                "priority": rows.PRIORITIES.index("background"),
                "popularity": float(plays.get(title.title_id, 0)),
                "codec": wanted.codec,
                "backfill_id": backfill_id,
                "most_cpu_seconds": wanted.most_cpu_seconds,
            }
            await connection.execute(sa.insert(jobs).values(row))
            queued += 1
        return queued

    async def get(self, backfill_id: str) -> Backfill:
        """Return a backfill as it stands. Raises NotFound."""
        async with self._sql.read() as connection:
            found = (
                await connection.execute(sa.select(backfills).where(backfills.c.backfill_id == backfill_id))
            ).one_or_none()
            if found is None:
                raise NotFound(f"There is no backfill {backfill_id[:60]!r}.")
            return await self._shown(connection, found)

    async def page(self) -> tuple[Backfill, ...]:
        """Return the latest backfills, newest first."""
        query = sa.select(backfills).order_by(backfills.c.created_at.desc(), backfills.c.backfill_id).limit(_SHOWN)
        async with self._sql.read() as connection:
            return tuple([await self._shown(connection, row) for row in (await connection.execute(query)).all()])

    async def pause(self, backfill_id: str, *, paused: bool) -> Backfill:
        """Pause all jobs of a backfill that have not ended, or let them go on. Raises NotFound, Conflict when all have ended."""
        mine = jobs.c.backfill_id == backfill_id
        if (await self.get(backfill_id)).state not in {"running", "paused"}:
            raise Conflict("All titles of this backfill have ended; there is nothing to pause.")
        now = self._clock.now()
        async with self._sql.transaction() as connection:
            if paused:
                resting = rows.ended("paused", None) | {"changed_at": now}
                await connection.execute(sa.update(jobs).where(mine, jobs.c.state == "queued").values(resting))
                await connection.execute(sa.update(jobs).where(mine, jobs.c.state == "running").values(pause=True))
            else:
                again = rows.QUEUED | {"changed_at": now}
                await connection.execute(sa.update(jobs).where(mine, jobs.c.state == "paused").values(again))
                await connection.execute(sa.update(jobs).where(mine, jobs.c.state == "running").values(pause=False))
        return await self.get(backfill_id)

    async def roll_back(self, backfill_id: str, catalog_version: int | None) -> RolledBack:
        """End a backfill and serve its titles as a version of the catalogue had them; repeating it ends at the same.

        Raises NotFound, also for a catalogue version that is not kept any more.
        """
        backfill = await self.get(backfill_id)
        version = catalog_version or backfill.catalog_version
        then = await self._calls.call(
            "catalog", "GET", f"/v1/internal/published?version={version}", type=PublishedTitles
        )
        mine = jobs.c.backfill_id == backfill_id
        ending = sa.and_(mine, jobs.c.state.in_(("queued", "paused")))
        stopped = rows.ended("cancelled", None) | {"changed_at": self._clock.now()}
        async with self._sql.transaction() as connection:
            cancelled = (await connection.execute(sa.update(jobs).where(ending).values(stopped))).rowcount
            running = sa.update(jobs).where(mine, jobs.c.state == "running").values(cancel=True)
            cancelled += (await connection.execute(running)).rowcount
            await connection.execute(
                sa.update(backfills).where(backfills.c.backfill_id == backfill_id).values(rolled_back=True)
            )
            changed = set((await connection.scalars(sa.select(jobs.c.asset).where(mine, jobs.c.state == "done"))).all())
        titles = 0
        for title in then.titles:
            if title.asset in changed:
                await self._publisher.publish_again(title)
                titles += 1
        return RolledBack(titles=titles, cancelled=cancelled)

    def _unfinished(self) -> sa.Select[tuple[str]]:
        return sa.select(jobs.c.job_id).where(jobs.c.backfill_id.is_not(None), jobs.c.state.in_(rows.UNFINISHED))

    async def _shown(self, connection: AsyncConnection, row: rows.AnyRow) -> Backfill:
        mine = jobs.c.backfill_id == row.backfill_id
        sums = sa.func.count(), sa.func.sum(jobs.c.before_bytes), sa.func.sum(jobs.c.saved_bytes)
        query = sa.select(jobs.c.state, *sums, sa.func.sum(jobs.c.cpu_seconds)).where(mine).group_by(jobs.c.state)
        found = (await connection.execute(query)).all()
        numbers = {one[0]: int(one[1]) for one in found}
        return Backfill(
            id=row.backfill_id,
            codec=row.codec,
            state=_state(numbers, rolled_back=row.rolled_back),
            titles=sum(numbers.values()),
            done=numbers.get("done", 0),
            failed=numbers.get("failed", 0) + numbers.get("cancelled", 0),
            before_bytes=sum(int(one[2] or 0) for one in found),
            saved_bytes=sum(int(one[3] or 0) for one in found),
            cpu_seconds=round(sum(float(one[4] or 0) for one in found), 2),
            catalog_version=row.catalog_version,
            created_at=row.created_at,
        )


def _state(numbers: dict[str, int], *, rolled_back: bool) -> BackfillState:
    if rolled_back:
        return "rolled back"
    if numbers.get("queued", 0) or numbers.get("running", 0):
        return "running"
    return "paused" if numbers.get("paused", 0) else "done"
