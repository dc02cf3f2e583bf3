"""The one place where engines meet services: it builds what a process carries and runs it until SIGTERM.

A cell is one plain asyncio loop with a uvicorn server for each service instance, each on a port of its own. The gateway and
the edge are data planes: uvloop and `kinema.http`. Whatever a process carries, it registers with discovery when it can
answer and signs off before it stops. Nothing heavy is imported before it is known to be needed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from litestar import Litestar

    from kinema.core.clock import Clock
    from kinema.core.keys import KeyRing
    from kinema.core.metrics import Metrics, Sample
    from kinema.core.properties import Properties
    from kinema.core.settings import Settings
    from kinema.core.spans import Spans
    from kinema.core.stopping import Stop
    from kinema.http import Client, Handler
    from kinema.model.members import MemberRole
    from kinema.observe.resilience import ResilienceMeter
    from kinema.rpc.client import Rpc
    from kinema.rpc.directory import Directory
    from kinema.rpc.registration import Registration
    from kinema.storage.cache_loading import LoadingCache, LoadingPolicy
    from kinema.storage.ports import Blobs, Cache, Sql

UI_DIR = Path(__file__).parents[2] / "ui" / "dist"
"""The built pages: Kinema runs from a clone of its repository."""

DRAIN_SECONDS = 1.0
"""How long a stopping gateway, edge or service lets answers end that were begun."""

_SHOWN_SECONDS = 4.0
_SHOWN_POLL_SECONDS = 0.1


class Placement(msgspec.Struct, frozen=True):
    """What one process is told: which services it carries, and where everything stands. It travels as JSON.

    `sockets` are inherited descriptors of listening sockets by service; `registries` are "host:port"; `registry_port` is
    the reserved port of this process's registry (0: any); `edge_base` is how players reach the edge (see playback);
    `number` ends the names of the instances.
    """

    process: str
    services: tuple[str, ...]
    number: str
    data_dir: str
    registries: tuple[str, ...]
    sockets: dict[str, int] = {}
    registry_port: int = 0
    edge_base: str = ""
    behind_tls: bool = False
    as_json: bool = True


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


# -- the services, by name -----------------------------------------------------------------------------------------------


def _discovery(instance: str, parts: Parts) -> Litestar:
    from kinema.services.discovery.app import create_discovery
    from kinema.services.discovery.remote_regions import parse_regions

    placement, settings = parts.placement, parts.settings
    own = placement.registry_port and f"127.0.0.1:{placement.registry_port}"
    return create_discovery(
        instance=instance,
        keys=parts.keys,
        clock=parts.clock,
        client=parts.client,
        peers=[registry for registry in placement.registries if registry != own],
        region=settings.region,
        regions=parse_regions(settings.registry_regions),
        token=settings.registry_token,
        properties=parts.properties.at("discovery", instance),
    )


def _members(instance: str, parts: Parts) -> Litestar:
    from kinema.services.members.app import create_members

    return create_members(
        instance=instance,
        sql=parts.sql("members"),
        keys=parts.keys,
        clock=parts.clock,
        session_days=parts.settings.session_days,
    )


def _catalog(instance: str, parts: Parts) -> Litestar:
    from kinema.services.catalog.app import create_catalog

    return create_catalog(
        instance=instance,
        sql=parts.sql("catalog"),
        blobs=parts.blobs("catalog"),
        keys=parts.keys,
        clock=parts.clock,
        calls=parts.rpc,
    )


def _playback(instance: str, parts: Parts) -> Litestar:
    from kinema.services.playback.app import create_playback

    return create_playback(
        instance=instance,
        sql=parts.sql("playback"),
        blobs=parts.blobs("playback"),
        cache=parts.cache("manifests"),
        keys=parts.keys,
        clock=parts.clock,
        calls=parts.rpc,
        directory=parts.directory,
        token_seconds=parts.settings.media_token_seconds,
    )


def _encoding(instance: str, parts: Parts) -> Litestar:
    from kinema.services.encoding.app import create_encoding

    return create_encoding(
        instance=instance,
        sql=parts.sql("encoding"),
        blobs=parts.blobs("encoding"),
        keys=parts.keys,
        clock=parts.clock,
        calls=parts.rpc,
        upload_limit_bytes=parts.settings.upload_limit_bytes,
    )


def _configuration(instance: str, parts: Parts) -> Litestar:
    from kinema.services.configuration.app import create_configuration

    return create_configuration(
        instance=instance,
        sql=parts.sql("configuration"),
        keys=parts.keys,
        clock=parts.clock,
        properties=parts.properties,
        calls=parts.rpc,
        directory=parts.directory,
    )


def _telemetry(instance: str, parts: Parts) -> Litestar:
    from kinema.observe import objectives
    from kinema.services.telemetry.app import create_telemetry

    return create_telemetry(
        instance=instance,
        sql=parts.sql("telemetry"),
        keys=parts.keys,
        clock=parts.clock,
        objectives=objectives.load(parts.data_dir),
        properties=parts.properties.at("telemetry", instance),
    )


SERVICES: dict[str, Callable[[str, Parts], Litestar]] = {
    "discovery": _discovery,
    "members": _members,
    "catalog": _catalog,
    "playback": _playback,
    "encoding": _encoding,
    "configuration": _configuration,
    "telemetry": _telemetry,
}
"""The services that run in cells: adding one is one row."""


# -- what a process does -------------------------------------------------------------------------------------------------


def run_placement(text: str | bytes) -> int:
    """Run what a placement (JSON) says until SIGTERM or SIGINT; return the exit code."""
    from kinema.core import log

    placement = msgspec.json.decode(text, type=Placement)
    log.configure(json=placement.as_json)
    log.bind(service=_name_of(placement), instance=placement.process)
    run, factory = _RUNNERS.get(placement.services[0], (run_cell, None))
    for library in ("alembic", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_guarded(run(placement)))


async def _guarded(work: Coroutine[Any, Any, None]) -> int:
    """Return the exit code of a process's work; what ended it becomes one line of the log."""
    from kinema.core import log
    from kinema.core.errors import KinemaError

    try:
        await work
    except KinemaError as error:
        log.get_logger(__name__).error(f"this process ends: {error}")
        return 1
    except ExceptionGroup as group:
        known, unknown = group.split(KinemaError)
        for one in known.exceptions if known else ():
            log.get_logger(__name__).error(f"this process ends: {one}")
        if unknown:
            log.get_logger(__name__).error("this process ends for an unexpected reason", exc_info=unknown)
        return 1
    except Exception as error:  # noqa: BLE001 -- the log is where it is shown
        log.get_logger(__name__).error("this process ends for an unexpected reason", exc_info=error)
        return 1
    return 0


async def run_cell(placement: Placement) -> None:
    """Serve every service of the placement until told to stop. When one ends early the process ends, to be started anew."""
    from kinema.core.stopping import Stop

    stop, last = Stop().listen(), Stop()
    _raise_descriptor_limit()
    async with _parts(placement) as parts, _observed(parts) as resilience, asyncio.TaskGroup() as group:
        others: list[asyncio.Task[None]] = []
        # All are built before the first one listens: what listens must answer, and building keeps the loop busy.
        apps = {service: SERVICES[service](f"{service}-{placement.number}", parts) for service in placement.services}
        for service, app in apps.items():
            resilience.add_shedder(service, app.state.shedder.snapshot)
            # The registry goes last, so that the others can sign off at it.
            is_registry = service == "discovery"
            serving = serve_app(service, app, placement, parts, last if is_registry else stop)
            task = group.create_task(serving, name=service)
            if not is_registry:
                others.append(task)
        await stop.asked.wait()
        if others:
            await asyncio.wait(others)
        last.ask()


async def serve_app(service: str, app: Litestar, placement: Placement, parts: Parts, stop: Stop) -> None:
    """Serve one service instance with uvicorn, registered while it answers. Raises Unavailable when it ends by itself."""
    from kinema.core import log
    from kinema.core.errors import Unavailable
    from kinema.core.spans import SpanContext, current
    from kinema.rpc.observed import observed
    from kinema.rpc.service import make_server

    instance = f"{service}-{placement.number}"
    log.bind(service=service, instance=instance)
    current.set(SpanContext("", "", service, instance))  # what the service does of its own accord
    listener = _listener(placement, service)
    server = make_server(
        observed(app, service, instance, parts.metrics, parts.spans), graceful_seconds=int(DRAIN_SECONDS)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name=f"serve {instance}")
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn tells it by this flag alone
            await asyncio.sleep(0.005)
        async with _registered(service, placement, parts, listener, stop) as registration:
            await _first(stop.asked.wait(), serving)
            await registration.sign_off()
            await stop.linger()
    finally:
        server.should_exit = True
        await serving
    if not stop.asked.is_set():
        raise Unavailable(f"{instance} has ended by itself; its last lines in the log say why.")


async def run_gateway(placement: Placement) -> None:
    """Serve the front door on its inherited socket."""
    from kinema.core.stopping import Stop
    from kinema.services.gateway.gateway import create_gateway

    stop = Stop().listen()
    async with _parts(placement) as parts, _observed(parts) as resilience:
        # All gateways share the public socket; what is for this one comes to a port of its own. While a successor starts,
        # both are there, hence the process number in the name.
        push_instance = f"push-{placement.number}-{os.getpid()}"
        gateway = create_gateway(
            rpc=parts.rpc,
            keys=parts.keys,
            clock=parts.clock,
            ui_dir=UI_DIR,
            upload_limit_bytes=parts.settings.upload_limit_bytes,
            trust_forwarded=placement.behind_tls,
            name=f"gateway-{placement.number}",
            data_dir=parts.data_dir,
            filters_dir=_own_filters(parts.settings),
            properties=parts.properties,
            push_instance=push_instance,
        )
        if gateway.shedding is not None:
            resilience.add_shedder("gateway", gateway.shedding)
        await gateway.start(watchdog=True)
        async with _private_port("push", push_instance, gateway.inner, placement, parts, stop):
            await _serve_data_plane("gateway", gateway.handler, placement, parts, stop, {}, gateway.drain)
        await gateway.close()


def _own_filters(settings: Settings) -> Path | None:
    """Return the folder of the operator's filters; None: the usual one."""
    return Path(settings.gateway_filters).expanduser().absolute() if settings.gateway_filters else None


async def run_edge(placement: Placement) -> None:
    """Serve media on the inherited socket; the cache stands beside the data, one directory an edge."""
    from kinema.core.stopping import Stop
    from kinema.services.edge.node import create_edge

    stop = Stop().listen()
    async with _parts(placement) as parts, _observed(parts):
        edge = create_edge(
            name=placement.process,
            directory=parts.data_dir / "cache" / placement.process,
            capacity=parts.settings.edge_cache_bytes,
            keys=parts.keys,
            clock=parts.clock,
            blobs=parts.blobs("edge"),
            metrics=parts.metrics,
        )
        await _serve_data_plane("edge", edge.handler, placement, parts, stop, {"public_base": placement.edge_base})
        await edge.close()


async def run_encoding_worker(placement: Placement) -> None:
    """Encode what is uploaded, one job after the other."""
    from kinema.core.stopping import Stop
    from kinema.model.catalog import Publication, Published
    from kinema.services.encoding.observing import StepRecords
    from kinema.services.encoding.worker import run_worker

    stop = Stop().listen()
    async with _parts(placement) as parts, _observed(parts):

        async def announce(title_id: str, publication: Publication) -> None:
            path = f"/v1/titles/{title_id}/publication"
            published = await parts.rpc.call("catalog", "PUT", path, publication, type=Published)
            if publication.complete:
                await _until_shown(parts, published.catalog_version)

        await run_worker(
            instance=placement.process,
            sql=parts.sql("encoding", by="worker"),
            blobs=parts.blobs("worker"),
            clock=parts.clock,
            announce=announce,
            scratch=parts.data_dir / "scratch" / placement.process,
            stop=stop.asked,
            threads=parts.settings.encode_threads,
            properties=parts.properties,
            records=StepRecords(parts.metrics, parts.spans, placement.process),
        )


def _raise_descriptor_limit() -> int:
    """Let this process open as many files and sockets as the system allows, and return how many that are."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20


async def _until_shown(parts: Parts, version: int) -> None:
    """Wait, a few seconds at most, until every instance of catalog serves this version or a pinned one.

    So whoever sees a job done and asks for the title gets all its rungs, whichever instance answers.
    """
    from kinema.core.errors import KinemaError
    from kinema.model.catalog import CatalogVersion

    deadline = parts.clock.monotonic() + _SHOWN_SECONDS
    for instance in parts.directory.instances("catalog"):
        while parts.clock.monotonic() < deadline:
            try:
                served = await parts.rpc.call_at(instance, "GET", "/v1/catalog/version", type=CatalogVersion)
            except KinemaError:
                break  # it is gone, or will start with what is announced
            if served.pinned or served.version >= version:
                break
            await parts.clock.sleep(_SHOWN_POLL_SECONDS)


async def _serve_data_plane(
    service: str,
    handler: Handler,
    placement: Placement,
    parts: Parts,
    stop: Stop,
    metadata: dict[str, str],
    before_drain: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve with `kinema.http` until told to stop, then let answers that were begun end.

    With a successor on the same socket nobody has to find another instance: new connections wait in the socket's queue.
    """
    from kinema.http import Limits, Server

    listener = _listener(placement, service)
    # Each client may need a second descriptor: a connection to a service, or a file.
    limits = Limits(connections=min(Limits().connections, _raise_descriptor_limit() // 2))
    server = Server(handler, limits=limits, clock=parts.clock)
    await server.start(listener)
    parts.metrics.gauge("kinema_pool_in_use", lambda: len(server.connections), pool="clients")
    parts.metrics.gauge("kinema_pool_limit", lambda: limits.connections, pool="clients")
    async with _registered(service, placement, parts, listener, stop, metadata) as registration:
        await stop.asked.wait()
        if not (stop.successor and service in placement.sockets):
            await registration.sign_off()
            await stop.linger()
        if before_drain is not None:
            await before_drain()
        idle = DRAIN_SECONDS if stop.gentle else 0.0
        await server.drain(DRAIN_SECONDS + idle, idle)


@asynccontextmanager
async def _private_port(
    service: str, name: str, handler: Handler, placement: Placement, parts: Parts, stop: Stop
) -> AsyncIterator[None]:
    """Serve what others of the region ask of this very process, on a port of its own, registered for as long as the block runs."""
    from kinema.http import Server

    listener = _listener(placement, service)
    server = Server(handler, clock=parts.clock)
    await server.start(listener)
    async with _registered(service, placement, parts, listener, stop, name=name):
        yield
    await server.drain(DRAIN_SECONDS)


# -- what they have in common --------------------------------------------------------------------------------------------


@asynccontextmanager
async def _parts(placement: Placement) -> AsyncIterator[Parts]:
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
    metrics, spans = Metrics(_name_of(placement)), Spans(clock, _name_of(placement), placement.process)
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


@asynccontextmanager
async def _observed(parts: Parts) -> AsyncIterator[ResilienceMeter]:
    """Show what the process does for as long as the block runs; what sheds requests makes itself known to what is yielded."""
    from kinema.core import log
    from kinema.observe.lines import TraceLines
    from kinema.observe.listener import MetricsPage
    from kinema.observe.reporter import Reporter
    from kinema.observe.resilience import ResilienceMeter
    from kinema.observe.usage import UsageMeter

    chosen, process = parts.settings, parts.placement.process
    labels = {"region": chosen.region, "zone": chosen.zone}
    meter, lines = UsageMeter(parts.metrics), TraceLines(parts.clock)
    resilience = ResilienceMeter(parts.rpc.balancer.snapshot, parts.metrics, parts.clock)
    _show_pools(parts)
    log.keep(lines)
    page = MetricsPage(parts.metrics, parts.clock, parts.data_dir, process, labels)
    otlp = None
    if chosen.otlp_endpoint:
        from kinema.observe.otlp import OtlpExport

        otlp = OtlpExport(chosen.otlp_endpoint, chosen.region, chosen.zone, parts.metrics)
    reporter = Reporter(
        process=process,
        services=parts.placement.services,
        metrics=parts.metrics,
        spans=parts.spans,
        rpc=parts.rpc,
        clock=parts.clock,
        usage=meter.report,
        resilience=resilience.report,
        lines=lines,
        export=otlp.offer if otlp is not None else None,
    )
    await page.start()
    await reporter.start()
    try:
        yield resilience
    finally:
        await reporter.close()
        if otlp is not None:
            await asyncio.to_thread(otlp.close)
        await page.close()
        meter.close()


def _show_pools(parts: Parts) -> None:
    """Count what the process has of connections to others, and whom it knows."""
    from kinema.core.metrics import sample

    metrics, client, directory = parts.metrics, parts.client, parts.directory
    metrics.gauge("kinema_pool_in_use", lambda: client.connections, pool="calls")
    metrics.gauge("kinema_pool_waiting", lambda: client.waiting, pool="calls")
    metrics.counted("kinema_pool_errors_total", lambda: client.refused, pool="calls")

    def known() -> Iterator[Sample]:
        counts = Counter(instance.service for instance in directory.everybody())
        return (sample("kinema_discovery_instances", count, service=service) for service, count in counts.items())

    metrics.source(known)


def _name_of(placement: Placement) -> str:
    """Return what a process is called after: the one service that it carries, or `cell`."""
    return placement.services[0] if len(placement.services) == 1 else "cell"


@asynccontextmanager
async def _registered(
    service: str,
    placement: Placement,
    parts: Parts,
    listener: socket.socket,
    stop: Stop,
    metadata: dict[str, str] | None = None,
    name: str = "",
) -> AsyncIterator[Registration]:
    """Keep the instance known to discovery for as long as the block runs, or until it signs off."""
    import kinema
    from kinema.model.discovery import Instance
    from kinema.rpc.registration import Registration

    host, port = listener.getsockname()[:2]
    instance = Instance(
        service=service,
        instance=name or f"{service}-{placement.number}",
        address=f"{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}",  # noqa: S104 -- compared, not bound
        region=parts.settings.region,
        zone=parts.settings.zone,
        version=kinema.__version__,
        metadata={"process": placement.process} | (metadata or {}),
    )
    registration = Registration(instance, placement.registries, parts.client, parts.keys, parts.clock)
    await registration.start()
    try:
        yield registration
    finally:
        handed_over = stop.successor and service in placement.sockets
        await (registration.close() if handed_over else registration.sign_off())


def _listener(placement: Placement, service: str) -> socket.socket:
    """Return the socket on which a service of this process listens: inherited, on the reserved port, or any free one."""
    if service in placement.sockets:
        return socket.socket(fileno=placement.sockets[service])
    port = placement.registry_port if service == "discovery" else 0
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # the supervisor holds the port, not listening
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.setblocking(False)
    return listener


async def _first(*awaitables: Awaitable[object]) -> None:
    """Wait until one of them is done; leave the others as they are, but cancel what was only made for this."""
    tasks = [asyncio.ensure_future(one) for one in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks[0].cancel()


# -- what the command line needs of the inside --------------------------------------------------------------------------


def open_sql(data_dir: Path, chosen: Settings, service: str) -> Sql:
    """Return the database of a service."""
    from kinema.storage import engines

    return engines.open_sql(data_dir, chosen.sql_url, service)


async def new_token(data_dir: Path, role: MemberRole) -> str:
    """Make a bearer token on the members' database, whether the region runs or not."""
    from kinema.core.clock import SystemClock
    from kinema.services.members.minting import mint_token

    async with _members_sql(data_dir) as sql:
        return await mint_token(sql, SystemClock(), role)


async def new_claim(data_dir: Path, role: MemberRole) -> str:
    """Make a claim on the members' database, whether the region runs or not; return its secret."""
    from kinema.core.clock import SystemClock
    from kinema.services.members.minting import mint_claim

    async with _members_sql(data_dir) as sql:
        return await mint_claim(sql, SystemClock(), role)


@asynccontextmanager
async def _members_sql(data_dir: Path) -> AsyncIterator[Sql]:
    from kinema.core import settings

    sql = open_sql(data_dir, settings.load(data_dir), "members")
    try:
        yield sql
    finally:
        await sql.close()


def openapi_documents() -> dict[str, dict[str, Any]]:
    """Return each service's OpenAPI document, from apps that are made on an empty directory and never run."""
    import tempfile

    async def describe(data_dir: Path) -> dict[str, dict[str, Any]]:
        placement = Placement("openapi", (), "1", str(data_dir), ())
        async with _parts(placement) as parts:
            return {
                service: build(f"{service}-1", parts).openapi_schema.to_schema() for service, build in SERVICES.items()
            }

    with tempfile.TemporaryDirectory() as empty:
        return asyncio.run(describe(Path(empty)))


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


_RUNNERS: dict[
    str, tuple[Callable[[Placement], Coroutine[Any, Any, None]], Callable[[], asyncio.AbstractEventLoop] | None]
] = {
    "gateway": (run_gateway, _uvloop),
    "edge": (run_edge, _uvloop),
    "worker": (run_encoding_worker, None),
}
"""The processes that are no cells, and the loops that they run on."""
