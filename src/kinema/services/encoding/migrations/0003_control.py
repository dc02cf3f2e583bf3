"""Jobs have a priority, can be paused, count their processor time, and may belong to a roll-out of a codec; titles have a report."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns and tables."""
    op.add_column("jobs", sa.Column("priority", sa.Integer, nullable=False, server_default="1"))
    op.add_column("jobs", sa.Column("popularity", sa.Float, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("pause", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("cpu_seconds", sa.Float, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("most_cpu_seconds", sa.Float, nullable=True))
    op.add_column("jobs", sa.Column("codec", sa.String(16), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("backfill_id", sa.String(40), nullable=True))
    op.drop_index("jobs_by_turn", "jobs")
    op.create_index("jobs_by_turn", "jobs", ["state", "priority", "playable", "popularity", "job_id"])
    op.create_index("jobs_by_backfill", "jobs", ["backfill_id"])
    op.create_table(
        "backfills",
        sa.Column("backfill_id", sa.String(40), primary_key=True),
        sa.Column("codec", sa.String(16), nullable=False),
        sa.Column("catalog_version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("asset", sa.String(40), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("title_id", sa.String(40), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("reports_by_title", "reports", ["title_id", "created_at"])
