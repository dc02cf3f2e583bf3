"""Members' own tables. Secrets (of sessions, claims, tokens) are stored as SHA-256 only: the database signs nobody in."""

import sqlalchemy as sa

metadata = sa.MetaData()

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),  # empty until one is chosen
    sa.Column("name_key", sa.String(256), nullable=True, unique=True),  # the name as it is compared
    sa.Column("password", sa.String(256), nullable=True),  # argon2id, encoded with its parameters
    sa.Column("created_at", sa.Float, nullable=False),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("used_at", sa.Float, nullable=True),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("session", sa.String(64), nullable=False, unique=True),
    sa.Column(
        "account", sa.String(64), sa.ForeignKey("accounts.account", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("client", sa.String(200), nullable=False),  # what the browser calls itself
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),  # to the hour
    sa.Column("expires_at", sa.Float, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(64), nullable=False, unique=True),  # its id, which is no secret
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("label", sa.String(100), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=True),  # to the hour
)
