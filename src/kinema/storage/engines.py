"""The engines behind each port, by name: adding one is one row. Rows are imported when asked for.

An empty url means the embedded engine in the data directory; otherwise the url's scheme names the row.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kinema.core.errors import BadInput
from kinema.storage.ports import Blobs, Cache, Sql

BLOBS = {
    "": "kinema.storage.blobs_files:open_files",
    "s3": "kinema.storage.blobs_s3:open_s3",
}
SQL = {
    "": "kinema.storage.sql_sqlite:open_sqlite",
    "postgresql": "kinema.storage.sql_postgres:open_postgres",
}
CACHES = {
    "": "kinema.storage.cache_memory:open_memory",
    "memory": "kinema.storage.cache_memory:open_memory",
    "redis": "kinema.storage.cache_redis:open_redis",
    "rediss": "kinema.storage.cache_redis:open_redis",
    "valkey": "kinema.storage.cache_redis:open_redis",
    "valkeys": "kinema.storage.cache_redis:open_redis",
    "memcached": "kinema.storage.cache_memcached:open_memcached",
}


def open_blobs(data_dir: Path, url: str = "") -> Blobs:
    """The blobs of a region: files in `<data_dir>/blobs`, or `s3://bucket/prefix?endpoint=...&region=...`."""
    blobs: Blobs = _opener(BLOBS, url, "blobs_url")(data_dir, url)
    return blobs


def open_sql(data_dir: Path, url: str, service: str) -> Sql:
    """The database of one service: SQLite in `<data_dir>/sql/<service>.db`, or a schema of `postgresql://...`."""
    sql: Sql = _opener(SQL, url, "sql_url")(data_dir, url, service)
    return sql


def open_cache(data_dir: Path, url: str = "") -> Cache:
    """One cache: in this process, or `redis://`, `rediss://`, `valkey://`, `valkeys://` or `memcached://host:port`."""
    cache: Cache = _opener(CACHES, url, "cache_url")(data_dir, url)
    return cache


def _opener(table: dict[str, str], url: str, setting: str) -> Callable[..., Any]:
    scheme = urlsplit(url).scheme
    if scheme not in table or (url and not scheme):
        known = ", ".join(f"{name}://" for name in table if name)
        raise BadInput(f"{setting} begins with {scheme or url[:20]!r}; leave it empty or use one of {known}.")
    module, _, name = table[scheme].partition(":")
    opener: Callable[..., Any] = getattr(import_module(module), name)
    return opener
