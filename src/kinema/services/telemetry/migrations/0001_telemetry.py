"""Reports, processes, spans, traces, log lines and indicators."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "reports",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("reports_by_time", "reports", ["at"])
    op.create_table(
        "processes",
        sa.Column("process", sa.String(64), primary_key=True),
        sa.Column("boot", sa.String(32), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("reported_at", sa.Float, nullable=False),
        sa.Column("services", sa.Text, nullable=False),
        sa.Column("usage", sa.Text, nullable=False),
        sa.Column("resilience", sa.Text, nullable=False),
    )
    op.create_table(
        "spans",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("name", sa.String(240), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("keep_until", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("spans_by_trace", "spans", ["trace_id"])
    op.create_index("spans_by_service", "spans", ["service", "started_at"])
    op.create_index("spans_by_expiry", "spans", ["keep_until"])
    op.create_table(
        "traces",
        sa.Column("trace_id", sa.String(32), primary_key=True),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("name", sa.String(240), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error", sa.Boolean, nullable=False),
        sa.Column("slow", sa.Boolean, nullable=False),
        sa.Column("spans", sa.Integer, nullable=False),
        sa.Column("services", sa.Text, nullable=False),
        sa.Column("keep_until", sa.Float, nullable=False),
        sa.Column("noticed_at", sa.Float, nullable=False),
    )
    op.create_index("traces_by_start", "traces", ["started_at"])
    op.create_index("traces_by_error", "traces", ["error", "started_at"])
    op.create_index("traces_by_notice", "traces", ["noticed_at"])
    op.create_index("traces_by_expiry", "traces", ["keep_until"])
    op.create_table(
        "lines",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("lines_by_trace", "lines", ["trace_id"])
    op.create_index("lines_by_time", "lines", ["at"])
    op.create_table(
        "indicators",
        sa.Column("objective", sa.String(60), primary_key=True),
        sa.Column("at", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("good", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.create_index("indicators_by_time", "indicators", ["at"])
