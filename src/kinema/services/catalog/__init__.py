"""Titles: written and published in Sql, served from immutable snapshots in memory. `create_catalog` makes the app."""
