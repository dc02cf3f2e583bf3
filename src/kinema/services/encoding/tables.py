"""Encoding's own tables: uploads and their parts, jobs and backfills, the ledger of finished steps, manifests and reports."""

import sqlalchemy as sa

from kinema.rpc.idempotency_table import idempotency_table

metadata = sa.MetaData()

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("upload_id", sa.String(40), primary_key=True),
    sa.Column("title_id", sa.String(40), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # open | complete (a job is queued) | assembled
    sa.Column("length", sa.BigInteger, nullable=False),  # bytes announced
    sa.Column("offset", sa.BigInteger, nullable=False),  # bytes stored for good
    sa.Column("writer", sa.String(40), nullable=True),  # the request that is writing, until writer_until
    sa.Column("writer_until", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Index("uploads_by_expiry", "state", "expires_at"),
)

upload_parts = sa.Table(
    "upload_parts",
    metadata,
    sa.Column("upload_id", sa.String(40), primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),  # offset of its first byte
    sa.Column("key", sa.String(200), nullable=False),  # of the blob
    sa.Column("size", sa.BigInteger, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", sa.String(40), primary_key=True),
    sa.Column("title_id", sa.String(40), nullable=False),
    sa.Column("upload_id", sa.String(40), nullable=False),
    sa.Column("asset", sa.String(40), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("source", sa.String(64), nullable=True),  # digest of the assembled file
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("playable", sa.Boolean, nullable=False),  # a first version is published
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("eta_seconds", sa.Float, nullable=True),
    sa.Column("rungs", sa.Text, nullable=False),  # JSON of model.RungProgress
    sa.Column("error", sa.Text, nullable=True),
    sa.Column("cancel", sa.Boolean, nullable=False),
    sa.Column("crashes", sa.Integer, nullable=False),  # since a step was last finished
    sa.Column("worker", sa.String(64), nullable=True),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("trace", sa.String(60), nullable=True),  # traceparent of the request that completed the upload
    sa.Column("priority", sa.Integer, nullable=False),  # see job_rows.PRIORITIES; the lower goes first
    sa.Column("popularity", sa.Float, nullable=False),  # plays of the title when it was queued; the higher goes first
    sa.Column("pause", sa.Boolean, nullable=False),  # an operator wants it paused
    sa.Column("cpu_seconds", sa.Float, nullable=False),
    sa.Column("most_cpu_seconds", sa.Float, nullable=True),
    sa.Column("codec", sa.String(16), nullable=False),  # that a backfill adds; empty: the job makes a whole film
    sa.Column("backfill_id", sa.String(40), nullable=True),
    sa.Column("before_bytes", sa.BigInteger, nullable=False),  # of a backfill: the rungs that the new ones stand for
    sa.Column("saved_bytes", sa.BigInteger, nullable=False),  # of a backfill: what these need less at the same quality
    sa.Index("jobs_by_turn", "state", "priority", "playable", "popularity", "job_id"),
    sa.Index("jobs_by_backfill", "backfill_id"),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("step_key", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("result", sa.LargeBinary, nullable=False),  # JSON, its type is the step's
    sa.Column("blobs", sa.Text, nullable=False),  # JSON list of keys that the result needs
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Index("steps_by_source", "source"),
)

manifests = sa.Table(
    "manifests",
    metadata,
    sa.Column("asset", sa.String(40), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("title_id", sa.String(40), nullable=False),
    sa.Column("tracks", sa.Text, nullable=False),  # JSON list of digests, in the manifest's order
    sa.Column("poster", sa.String(64), nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

backfills = sa.Table(
    "backfills",
    metadata,
    sa.Column("backfill_id", sa.String(40), primary_key=True),
    sa.Column("codec", sa.String(16), nullable=False),
    sa.Column(
        "catalog_version", sa.Integer, nullable=False
    ),  # that was served before the first title of it was published
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("rolled_back", sa.Boolean, nullable=False),
)

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("asset", sa.String(40), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("title_id", sa.String(40), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # JSON of model.encoding_report.EncodingReport
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Index("reports_by_title", "title_id", "created_at"),
)

content_keys = sa.Table(
    "content_keys",
    metadata,
    sa.Column("key_id", sa.String(32), primary_key=True),  # as in the tracks, 32 hexadecimal digits
    sa.Column("asset", sa.String(40), nullable=False),
    sa.Column("tier", sa.String(8), nullable=False),  # see protection.tiers
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("iv", sa.String(32), nullable=False),
    sa.Column("sealed_by", sa.String(16), nullable=False),  # id of the region's key that sealed it
    sa.Column("box", sa.LargeBinary, nullable=False),  # see core.envelope
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Index("content_keys_by_asset", "asset", "tier", "generation", unique=True),
)

idempotency = idempotency_table(metadata)
