"""Overrides of properties, the trail of their changes, and how often they have changed."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "overrides",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("instance", sa.String(100), primary_key=True),
        sa.Column("service", sa.String(100), primary_key=True),
        sa.Column("zone", sa.String(100), primary_key=True),
        sa.Column("region", sa.String(100), primary_key=True),
        sa.Column("canary", sa.Boolean, primary_key=True),
        sa.Column("percent", sa.Float, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=True),
        sa.Column("set_at", sa.Float, nullable=False),
        sa.Column("set_by", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
    )
    op.create_index("ix_overrides_expires_at", "overrides", ["expires_at"])
    op.create_table(
        "changes",
        sa.Column("entry", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("old", sa.Text, nullable=True),
        sa.Column("new", sa.Text, nullable=True),
        sa.Column("reason", sa.String(500), nullable=False),
    )
    op.create_index("changes_by_name", "changes", ["name", "entry"])
    state = op.create_table(
        "state",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.bulk_insert(state, [{"one": 1, "epoch": secrets.token_hex(8), "revision": 0}])
