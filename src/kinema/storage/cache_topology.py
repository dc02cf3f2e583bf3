"""The setting `cache_url` as one cache, from the parts beside this file.

nothing, or memory:?bytes=N                       in this process
memcached://10.0.1.7                              one server
memcached://10.0.1.7,memcached://10.0.1.8         the keys divided between servers
a=redis://10.0.1.7 b=redis://10.0.2.7             one copy in each zone, here of one server each
"""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from kinema.core.clock import Clock
from kinema.core.errors import BadInput
from kinema.storage.cache_breaker import Breaker
from kinema.storage.cache_shards import ShardedCache
from kinema.storage.cache_zones import ZonedCache
from kinema.storage.engines import open_cache
from kinema.storage.ports import Cache

_ZONE = re.compile(r"([A-Za-z0-9._-]+)=(.+)")


def open_caches(data_dir: Path, url: str, zone: str, clock: Clock, breakers: Callable[[str], Breaker]) -> Cache:
    """Return the cache that the setting describes, for a process in this zone; `breakers` makes a breaker from a name.

    `BadInput` for what is not understood, and when there are zones and this one is not among them. Nothing is connected to yet.
    """
    words = url.split()
    if not words or words[0].startswith("memory:"):
        return open_cache(data_dir, url.strip())
    named = [match.groups() for word in words if (match := _ZONE.fullmatch(word))]
    if not named and len(words) == 1:
        named = [(zone, words[0])]  # one for all, wherever they are
    zones = {name: servers.split(",") for name, servers in named}
    if len(zones) != len(words):
        raise BadInput("cache_url has several parts; write zone=address for each, and every zone once.")
    if zone not in zones:
        raise BadInput(f"cache_url names no cache for the zone {zone!r}, only for {', '.join(sorted(zones))}.")
    caches = {name: _open_zone(data_dir, servers, clock, breakers) for name, servers in zones.items()}
    return ZonedCache(caches, zone, clock, breakers)


def _open_zone(data_dir: Path, servers: list[str], clock: Clock, breakers: Callable[[str], Breaker]) -> Cache:
    for server in servers:
        if urlsplit(server).scheme in {"", "memory"}:
            raise BadInput("cache_url has a part without an address; write each as redis://host or memcached://host.")
    caches = {urlsplit(server).netloc.rpartition("@")[2]: open_cache(data_dir, server) for server in servers}
    if len(caches) != len(servers):
        raise BadInput("cache_url names a server twice; name each once.")
    return caches.popitem()[1] if len(caches) == 1 else ShardedCache(caches, clock, breakers)
