"""Why titles were withdrawn, and which version of their asset it was about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "withdrawals",
        sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("manifest_version", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
