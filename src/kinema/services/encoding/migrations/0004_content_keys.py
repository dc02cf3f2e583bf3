"""Keys of protected films."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "content_keys",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("asset", sa.String(40), nullable=False),
        sa.Column("tier", sa.String(8), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("iv", sa.String(32), nullable=False),
        sa.Column("sealed_by", sa.String(16), nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("content_keys_by_asset", "content_keys", ["asset", "tier", "generation"], unique=True)
