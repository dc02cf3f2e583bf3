"""Titles, publications, artwork and snapshot versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables, and the one row that says which version is served."""
    op.create_table(
        "titles",
        sa.Column("title_id", sa.String(40), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("synopsis", sa.Text, nullable=False),
        sa.Column("year", sa.Integer, nullable=True),
        sa.Column("genres", sa.Text, nullable=False),
        sa.Column("shelf", sa.Text, nullable=False),
        sa.Column("credits", sa.Text, nullable=False),
        sa.Column("written", sa.Boolean, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
    )
    op.create_table(
        "publications",
        sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("manifest_version", sa.Integer, nullable=False),
        sa.Column("duration_seconds", sa.Float, nullable=False),
        sa.Column("rungs", sa.Text, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("poster", sa.String(64), nullable=False),
        sa.Column("published_at", sa.Float, nullable=False),
    )
    op.create_table(
        "artwork",
        sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("titles", sa.Integer, nullable=False),
    )
    announced = op.create_table(
        "announced",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("pinned", sa.Integer, nullable=True),
    )
    op.bulk_insert(announced, [{"id": 1, "version": 0, "pinned": None}])
