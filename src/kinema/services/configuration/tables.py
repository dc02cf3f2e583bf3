"""Configuration's own tables. Values, scopes and what was there before are JSON: their types belong to the declarations."""

import sqlalchemy as sa

metadata = sa.MetaData()

overrides = sa.Table(
    "overrides",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("instance", sa.String(100), primary_key=True),
    sa.Column("service", sa.String(100), primary_key=True),
    sa.Column("zone", sa.String(100), primary_key=True),
    sa.Column("region", sa.String(100), primary_key=True),
    sa.Column("canary", sa.Boolean, primary_key=True),  # whether it is for a percentage; one such a scope
    sa.Column("percent", sa.Float, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=True, index=True),
    sa.Column("set_at", sa.Float, nullable=False),
    sa.Column("set_by", sa.String(200), nullable=False),
    sa.Column("reason", sa.String(500), nullable=False),
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("old", sa.Text, nullable=True),  # None: there was no override
    sa.Column("new", sa.Text, nullable=True),
    sa.Column("reason", sa.String(500), nullable=False),
    sa.Index("changes_by_name", "name", "entry"),
)

# One row: `epoch` tells this database from another one, `revision` counts its changes.
state = sa.Table(
    "state",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.String(32), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
)
