"""Jobs say how many bytes a new codec had to compare itself with and how many it saves; a backfill can be rolled back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("jobs", sa.Column("before_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("saved_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("backfills", sa.Column("rolled_back", sa.Boolean, nullable=False, server_default=sa.false()))
