"""Telemetry's own tables. Everything in them is of passing interest and is deleted in time (see retention.py)."""

import sqlalchemy as sa

metadata = sa.MetaData()

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts in a column of this type only

reports = sa.Table(  # counters of processes, as they were reported; every instance reads all of them in their order
    "reports",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True),  # grows: writers take turns
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # msgpack of tuple[RedDelta, ...]
    sa.Index("reports_by_time", "at"),
    sqlite_autoincrement=True,  # a number must not come again when all rows are gone: readers remember the last one
)

processes = sa.Table(  # the last report of each process
    "processes",
    metadata,
    sa.Column("process", sa.String(64), primary_key=True),
    sa.Column("boot", sa.String(32), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("reported_at", sa.Float, nullable=False),
    sa.Column("services", sa.Text, nullable=False),  # JSON of tuple[str, ...]
    sa.Column("usage", sa.Text, nullable=False),  # JSON of ProcessUsage | None
    sa.Column("resilience", sa.Text, nullable=False),  # JSON of ResilienceState
)

spans = sa.Table(
    "spans",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True),
    sa.Column("trace_id", sa.String(32), nullable=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("name", sa.String(240), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("keep_until", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # msgpack of model.telemetry.Span
    sa.Index("spans_by_trace", "trace_id"),
    sa.Index("spans_by_service", "service", "started_at"),
    sa.Index("spans_by_expiry", "keep_until"),
)

traces = sa.Table(  # a line for each trace that has spans
    "traces",
    metadata,
    sa.Column("trace_id", sa.String(32), primary_key=True),
    sa.Column("started_at", sa.Float, nullable=False),  # with the next four: of the span that began first
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("name", sa.String(240), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error", sa.Boolean, nullable=False),  # of any span
    sa.Column("slow", sa.Boolean, nullable=False),  # of any request
    sa.Column("spans", sa.Integer, nullable=False),
    sa.Column("services", sa.Text, nullable=False),  # by comma
    sa.Column("keep_until", sa.Float, nullable=False),
    sa.Column("noticed_at", sa.Float, nullable=False),  # when it first was in error or slow; else 0
    sa.Index("traces_by_start", "started_at"),
    sa.Index("traces_by_error", "error", "started_at"),
    sa.Index("traces_by_notice", "noticed_at"),
    sa.Index("traces_by_expiry", "keep_until"),
)

lines = sa.Table(  # what was logged for a trace
    "lines",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True),
    sa.Column("trace_id", sa.String(32), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # msgpack of model.telemetry.LogLine
    sa.Index("lines_by_trace", "trace_id"),
    sa.Index("lines_by_time", "at"),
)

indicators = sa.Table(  # good and all requests of an objective, by minute; by hour when older than the longest alert
    "indicators",
    metadata,
    sa.Column("objective", sa.String(60), primary_key=True),
    sa.Column("at", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("good", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Index("indicators_by_time", "at"),
)
