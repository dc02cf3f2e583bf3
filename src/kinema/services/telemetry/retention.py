"""What is deleted when: every kind of row has an age and a number that it does not exceed.

Reports go after an hour, since the windows in memory go back no further. Spans go when their trace's time has come, and
beyond `MOST_SPANS` those that would have gone first anyway; log lines after a day, and beyond the newest `MOST_LINES`. Both
numbers are properties, as what a disk has room for is found out while everything runs.
Indicators are kept by the minute as long as an alert looks at them (three days), then by the hour for `MOST_DAYS`;
processes for a day after their last report.
"""

from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.properties import Properties, Property, between
from kinema.observe.burn import SPANS
from kinema.services.telemetry.tables import indicators, lines, processes, reports, spans, traces
from kinema.services.telemetry.windows import KEPT_SECONDS
from kinema.storage.ports import Sql

MOST_SPANS = Property("telemetry.most_spans", 200_000, "How many spans of traces are kept.", between(0, 100_000_000))
MOST_LINES = Property("telemetry.most_lines", 50_000, "How many log lines are kept.", between(0, 100_000_000))
MOST_DAYS = 90
_DAY = 24 * 3600.0
_HOUR = 3600
_AT_ONCE = 5000  # rows of one transaction: writers wait for it


class Retention:
    """Deletes what is due; safe from several instances at once."""

    def __init__(self, sql: Sql, properties: Properties) -> None:
        self._sql = sql
        self._properties = properties

    async def sweep(self, now: float) -> int:
        """Delete what is due and return how many rows that were."""
        gone = await self._delete(reports, reports.c.at < now - KEPT_SECONDS - 60)
        gone += await self._delete(spans, spans.c.keep_until < await self._spans_until(now))
        gone += await self._delete(lines, lines.c.at < await self._lines_until(now))
        gone += await self._delete(traces, traces.c.keep_until < now)
        gone += await self._delete(traces, sa.not_(sa.exists().where(spans.c.trace_id == traces.c.trace_id)))
        gone += await self._delete(processes, processes.c.reported_at < now - _DAY)
        async with self._sql.transaction() as connection:
            await connection.execute(sa.delete(indicators).where(indicators.c.at < now - MOST_DAYS * _DAY))
            await _to_hours(connection, int(now - SPANS[-1] - _HOUR) // _HOUR * _HOUR)
        return gone

    async def _delete(self, table: sa.Table, due: sa.ColumnElement[bool]) -> int:
        """Delete rows a few thousand at a time."""
        key = next(iter(table.primary_key.columns))
        gone = 0
        while True:
            async with self._sql.transaction() as connection:
                these = sa.select(key).where(due).limit(_AT_ONCE)
                count = (await connection.execute(sa.delete(table).where(key.in_(these)))).rowcount
            gone += count
            if count < _AT_ONCE:
                return gone

    async def _spans_until(self, now: float) -> float:
        return max(now, await self._surplus(spans, spans.c.keep_until, self._properties[MOST_SPANS]))

    async def _lines_until(self, now: float) -> float:
        return max(now - _DAY, await self._surplus(lines, lines.c.at, self._properties[MOST_LINES]))

    async def _surplus(self, table: sa.Table, by: sa.Column[float], most: int) -> float:
        """Return the value of `by` below which rows are too many; minus infinity when they are not."""
        async with self._sql.read() as connection:
            count = await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            if count <= most:
                return float("-inf")
            found = await connection.scalar(sa.select(by).order_by(by).offset(count - most).limit(1))
            return float("-inf") if found is None else found


async def _to_hours(connection: AsyncConnection, before: int) -> None:
    """Add the minutes before this time up to hours."""
    minutes = sa.and_(indicators.c.at < before, indicators.c.at % _HOUR != 0)
    sums: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in await connection.execute(sa.select(indicators).where(minutes)):
        both = sums[row.objective, row.at // _HOUR * _HOUR]
        both[0] += row.good
        both[1] += row.total
    if not sums:
        return
    await connection.execute(sa.delete(indicators).where(minutes))
    for (name, hour), (good, total) in sums.items():
        this = sa.and_(indicators.c.objective == name, indicators.c.at == hour)
        more = {"good": indicators.c.good + good, "total": indicators.c.total + total}
        if not (await connection.execute(sa.update(indicators).where(this).values(more))).rowcount:
            values = {"objective": name, "at": hour, "good": good, "total": total}
            await connection.execute(sa.insert(indicators).values(values))
