"""Playback's own tables: the plays that were started, the licences that they were given, and the answers of idempotent requests."""

import sqlalchemy as sa

from kinema.rpc.idempotency_table import idempotency_table

metadata = sa.MetaData()

plays = sa.Table(
    "plays",
    metadata,
    sa.Column("play_id", sa.String(40), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("title_id", sa.String(40), nullable=False),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("device", sa.Text, nullable=False),  # JSON of model.playback.Device
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Integer, nullable=False),  # of the last token, Unix seconds
    sa.Index("plays_by_expiry", "expires_at"),
)

licences = sa.Table(
    "licences",
    metadata,
    sa.Column("licence_id", sa.String(40), primary_key=True),
    sa.Column("play_id", sa.String(40), nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("key_ids", sa.Text, nullable=False),  # JSON list
    sa.Column("issued_at", sa.Float, nullable=False),
    sa.Index("licences_by_asset", "asset", "licence_id"),
    sa.Index("licences_by_age", "issued_at"),
)

idempotency = idempotency_table(metadata)
