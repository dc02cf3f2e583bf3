"""Which keys of protected titles which play was given."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "licences",
        sa.Column("licence_id", sa.String(40), primary_key=True),
        sa.Column("play_id", sa.String(40), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("key_ids", sa.Text, nullable=False),
        sa.Column("issued_at", sa.Float, nullable=False),
    )
    op.create_index("licences_by_asset", "licences", ["asset", "licence_id"])
    op.create_index("licences_by_age", "licences", ["issued_at"])
