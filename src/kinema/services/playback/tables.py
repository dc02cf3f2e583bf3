"""Playback's own tables: the plays that were started, and the answers of idempotent requests."""

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

idempotency = idempotency_table(metadata)
