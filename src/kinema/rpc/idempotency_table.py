"""The table that `Idempotency` keeps its answers in; apart from it, so that a worker can name it without a web framework."""

import sqlalchemy as sa


def idempotency_table(metadata: sa.MetaData) -> sa.Table:
    """Add the table that `Idempotency` needs to a service's tables; its migration creates it like the others."""
    return sa.Table(
        "idempotency",
        metadata,
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.Column("at", sa.Float, nullable=False),
    )
