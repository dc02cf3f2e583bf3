"""What the services of one process share: settings, clock, keys, calls, storage, metrics; made on the process's own loop."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kinema.wiring.placement import Placement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kinema.core.clock import Clock
    from kinema.core.keys import KeyRing
    from kinema.core.metrics import Metrics
    from kinema.core.properties import Properties
    from kinema.core.settings import Settings
    from kinema.core.spans import Spans
    from kinema.http import Client
    from kinema.rpc.client import Rpc
    from kinema.rpc.directory import Directory
    from kinema.storage.cache_loading import LoadingCache, LoadingPolicy
    from kinema.storage.ports import Blobs, Cache, Sql


class Parts:
    """What the services of one process share. Made inside the event loop that they run on."""

    def __init__(
        self,
        placement: Placement,
        data_dir: Path,
        settings: Settings,
        keys: KeyRing,
        clock: Clock,
        client: Client,
        directory: Directory,
        rpc: Rpc,
        metrics: Metrics,
        spans: Spans,
        properties: Properties,
    ) -> None:
        self.placement = placement
        self.data_dir = data_dir
        self.settings = settings
        self.keys = keys
        self.clock = clock
        self.client = client
        self.directory = directory
        self.rpc = rpc
        self.metrics = metrics
        self.spans = spans
        self.properties = properties
        self._blobs: Blobs | None = None
        self._sqls: list[Sql] = []
        self._cache: Cache | None = None
        self._loading: list[LoadingCache] = []

    def blobs(self, service: str) -> Blobs:
        """Return the region's blobs as a service uses them."""
        from kinema.storage.engines import open_blobs
        from kinema.storage.measured import measured_blobs

        if self._blobs is None:
            self._blobs = open_blobs(self.data_dir, self.settings.blobs_url)
        return measured_blobs(self._blobs, self.metrics, self.spans, service)

    def sql(self, service: str, *, by: str = "") -> Sql:
        """Return the database of a service, as it or another one (`by`) uses it; closed with the parts."""
        from kinema.storage.measured import MeasuredSql

        opened = open_sql(self.data_dir, self.settings, service)
        self._sqls.append(opened)
        return MeasuredSql(opened, self.metrics, self.spans, by or service)

    def cache(self, namespace: str, policy: LoadingPolicy | None = None) -> LoadingCache:
        """Return reads of a namespace through the region's cache; closed with the parts."""
        from kinema.resilience import BreakerConfig, CircuitBreaker
        from kinema.storage.cache_loading import LoadingCache
        from kinema.storage.cache_metrics import loading_samples, zone_samples
        from kinema.storage.cache_topology import open_caches
        from kinema.storage.cache_zones import ZonedCache

        if self._cache is None:
            # By calls: to a server that hangs they are slow, and in a window of seconds the good ones before outweigh them.
            config = BreakerConfig(window_calls=20, minimum_calls=10, sleep_seconds=1.0)
            chosen = self.settings
            self._cache = open_caches(
                self.data_dir, chosen.cache_url, chosen.zone, self.clock, lambda _: CircuitBreaker(self.clock, config)
            )
            if isinstance(self._cache, ZonedCache):
                zones = self._cache
                self.metrics.source(lambda: zone_samples(zones.snapshot()))
        loading = LoadingCache(self._cache, namespace, self.clock, policy)
        self.metrics.source(lambda: loading_samples(loading.snapshot()))
        self._loading.append(loading)
        return loading

    async def close(self) -> None:
        """Close what was opened, the outermost first."""
        await self.directory.close()
        for loading in self._loading:
            await loading.close()
        if self._cache is not None:
            await self._cache.close()
        for sql in self._sqls:
            await sql.close()
        await self.client.close()


@asynccontextmanager
async def opened(placement: Placement) -> AsyncIterator[Parts]:
    """Open what a process needs for as long as the block runs: it follows discovery and the properties meanwhile."""
    from kinema.core import settings
    from kinema.core.clock import SystemClock
    from kinema.core.keys import KeyRing
    from kinema.core.log_level import follow_log_level
    from kinema.core.metrics import Metrics
    from kinema.core.properties import Properties
    from kinema.core.property_scope import Place
    from kinema.core.spans import Spans
    from kinema.http import Client
    from kinema.rpc.client import Rpc
    from kinema.rpc.directory import Directory
    from kinema.rpc.property_feed import PropertyFeed
    from kinema.rpc.tuning import follow as follow_calls

    data_dir = Path(placement.data_dir)
    chosen = settings.load(data_dir)
    clock, keys, client = SystemClock(), KeyRing(data_dir), Client()
    metrics, spans = Metrics(name_of(placement)), Spans(clock, name_of(placement), placement.process)
    instances = tuple(f"{service}-{placement.number}" for service in placement.services)
    place = Place(placement.process, placement.services, instances, chosen.zone, chosen.region)
    properties = Properties(place, os.environ, clock)
    feed = PropertyFeed(properties, data_dir, clock)
    follow_log_level(properties)
    directory = Directory(placement.registries, client, keys, clock, placement.process)
    first = {"service": placement.services[0], "instance": instances[0]} if instances else {}
    rpc = Rpc(directory, client, keys, clock, placement.process, metrics, spans, **first, zone=chosen.zone)
    follow_calls(properties, rpc.balancer, rpc.budgets)
    parts = Parts(placement, data_dir, chosen, keys, clock, client, directory, rpc, metrics, spans, properties)
    await directory.start()
    await feed.start(rpc)
    try:
        yield parts
    finally:
        await feed.close()
        await parts.close()


def name_of(placement: Placement) -> str:
    """Return what a process is called after: the one service that it carries, or `cell`."""
    return placement.services[0] if len(placement.services) == 1 else "cell"


def open_sql(data_dir: Path, chosen: Settings, service: str) -> Sql:
    """Return the database of a service."""
    from kinema.storage import engines

    return engines.open_sql(data_dir, chosen.sql_url, service)
