"""What a process does from its first moment to SIGTERM: a cell of services, a gateway, an edge, a worker."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kinema.wiring.observing import observed
from kinema.wiring.parts import Parts, name_of, opened
from kinema.wiring.placement import Placement
from kinema.wiring.services import SERVICES
from kinema.wiring.serving import first, listener_of, raise_descriptor_limit, registered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar

    from kinema.core.settings import Settings
    from kinema.core.stopping import Stop
    from kinema.http import Handler

UI_DIR = Path(__file__).parents[3] / "ui" / "dist"
"""The built pages: Kinema runs from a clone of its repository."""

DRAIN_SECONDS = 1.0
"""How long a stopping gateway, edge or service lets answers end that were begun."""

_SHOWN_SECONDS = 4.0
_SHOWN_POLL_SECONDS = 0.1


def run_placement(text: str | bytes) -> int:
    """Run what a placement (JSON) says until SIGTERM or SIGINT; return the exit code."""
    from kinema.core import log

    placement = msgspec.json.decode(text, type=Placement)
    log.configure(json=placement.as_json)
    log.bind(service=name_of(placement), instance=placement.process)
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
    raise_descriptor_limit()
    async with opened(placement) as parts, observed(parts) as resilience, asyncio.TaskGroup() as group:
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
    listener = listener_of(placement, service)
    server = make_server(
        observed(app, service, instance, parts.metrics, parts.spans), graceful_seconds=int(DRAIN_SECONDS)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name=f"serve {instance}")
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn tells it by this flag alone
            await asyncio.sleep(0.005)
        async with registered(service, placement, parts, listener, stop) as registration:
            await first(stop.asked.wait(), serving)
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
    async with opened(placement) as parts, observed(parts) as resilience:
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
    async with opened(placement) as parts, observed(parts):
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
    from kinema.model.catalog import Publication, Published, Recall
    from kinema.model.playback import ManifestText
    from kinema.services.encoding.observing import StepRecords
    from kinema.services.encoding.worker import run_worker

    stop = Stop().listen()
    async with opened(placement) as parts, observed(parts):

        async def announce(title_id: str, publication: Publication) -> None:
            path = f"/v1/titles/{title_id}/publication"
            published = await parts.rpc.call("catalog", "PUT", path, publication, type=Published)
            if publication.complete:
                await _until_shown(parts, published.catalog_version)

        async def recall(title_id: str, recalled: Recall) -> None:
            await parts.rpc.call("catalog", "PUT", f"/v1/titles/{title_id}/recall", recalled)

        async def read_text(asset: str, version: int, name: str) -> str:
            path = f"/v1/internal/manifests/{asset}/{version}/{name}"
            return (await parts.rpc.call("playback", "GET", path, type=ManifestText)).text

        await run_worker(
            instance=placement.process,
            sql=parts.sql("encoding", by="worker"),
            blobs=parts.blobs("worker"),
            clock=parts.clock,
            keys=parts.keys,
            announce=announce,
            recall=recall,
            scratch=parts.data_dir / "scratch" / placement.process,
            stop=stop.asked,
            threads=parts.settings.encode_threads,
            properties=parts.properties,
            read_text=read_text,
            records=StepRecords(parts.metrics, parts.spans, placement.process),
        )


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

    listener = listener_of(placement, service)
    # Each client may need a second descriptor: a connection to a service, or a file.
    limits = Limits(connections=min(Limits().connections, raise_descriptor_limit() // 2))
    server = Server(handler, limits=limits, clock=parts.clock)
    await server.start(listener)
    parts.metrics.gauge("kinema_pool_in_use", lambda: len(server.connections), pool="clients")
    parts.metrics.gauge("kinema_pool_limit", lambda: limits.connections, pool="clients")
    async with registered(service, placement, parts, listener, stop, metadata) as registration:
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

    listener = listener_of(placement, service)
    server = Server(handler, clock=parts.clock)
    await server.start(listener)
    async with registered(service, placement, parts, listener, stop, name=name):
        yield
    await server.drain(DRAIN_SECONDS)


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
