"""Catalog's own tables: what people write, what encoding announces, and which snapshot is served."""

import sqlalchemy as sa

metadata = sa.MetaData()

titles = sa.Table(
    "titles",
    metadata,
    sa.Column("title_id", sa.String(40), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("synopsis", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=True),
    sa.Column("genres", sa.Text, nullable=False),  # JSON list of texts
    sa.Column("shelf", sa.Text, nullable=False),
    sa.Column("credits", sa.Text, nullable=False),
    sa.Column("written", sa.Boolean, nullable=False),  # by a person; else taken from the publication
    sa.Column("withdrawn", sa.Boolean, nullable=False),
)

publications = sa.Table(
    "publications",
    metadata,
    sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("manifest_version", sa.Integer, nullable=False),
    sa.Column("duration_seconds", sa.Float, nullable=False),
    sa.Column("rungs", sa.Text, nullable=False),  # JSON of model.catalog.RungFact
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("poster", sa.String(64), nullable=False),  # digest of a picture cut from the film, or empty
    sa.Column("published_at", sa.Float, nullable=False),  # the first time; does not move when rungs join
)

artwork = sa.Table(
    "artwork",
    metadata,
    sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
)

notices = sa.Table(  # titles whose first publication devices have not been told of
    "notices",
    metadata,
    sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
)

withdrawals = sa.Table(  # the last of each title that is not back
    "withdrawals",
    metadata,
    sa.Column("title_id", sa.String(40), sa.ForeignKey("titles.title_id"), primary_key=True),
    sa.Column("asset", sa.String(64), nullable=False),  # that was published, or empty
    sa.Column("manifest_version", sa.Integer, nullable=False),  # up to which it may not come back by itself
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("titles", sa.Integer, nullable=False),
)

announced = sa.Table(  # one row: what every reader follows
    "announced",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),  # 0: nothing yet
    sa.Column("pinned", sa.Integer, nullable=True),
)
