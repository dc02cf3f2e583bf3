"""Uploads, jobs, finished steps, manifests, and the answers of idempotent requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.String(40), primary_key=True),
        sa.Column("title_id", sa.String(40), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("writer", sa.String(40), nullable=True),
        sa.Column("writer_until", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("uploads_by_expiry", "uploads", ["state", "expires_at"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.String(40), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(40), primary_key=True),
        sa.Column("title_id", sa.String(40), nullable=False),
        sa.Column("upload_id", sa.String(40), nullable=False),
        sa.Column("asset", sa.String(40), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("source", sa.String(64), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("playable", sa.Boolean, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("eta_seconds", sa.Float, nullable=True),
        sa.Column("rungs", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(64), nullable=True),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_index("jobs_by_turn", "jobs", ["state", "playable", "job_id"])
    op.create_table(
        "steps",
        sa.Column("step_key", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("result", sa.LargeBinary, nullable=False),
        sa.Column("blobs", sa.Text, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("steps_by_source", "steps", ["source"])
    op.create_table(
        "manifests",
        sa.Column("asset", sa.String(40), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("title_id", sa.String(40), nullable=False),
        sa.Column("tracks", sa.Text, nullable=False),
        sa.Column("poster", sa.String(64), nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("announced", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "idempotency",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.Column("at", sa.Float, nullable=False),
    )
