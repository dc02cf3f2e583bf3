"""Titles whose first publication devices have not been told of."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "notices",
        sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
    )
