"""Where requests go: the first two segments of the path name the service.

What is not in this table is not reachable from outside: internal paths, a service's /healthz and /schema.
"""

from collections.abc import Collection, Iterable

import msgspec

from kinema.core.errors import BadInput
from kinema.core.priority import Priority

_MIB = 1024 * 1024
BY_PROPERTY = -1
"""A limit that a route leaves to the property for all such routes (limits.py)."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One prefix of the public API.

    `service` is proxied to unless `endpoint` names one of the gateway's own. `open_methods` need no identity: on the
    prefix itself, or on everything below it with `open_below`. `seconds` bounds the wait for an answer, once the body has
    come. `body_bytes` bounds a request's body, None by the setting for uploads. Both are the properties of limits.py unless
    they are given. With `streaming` the service works on the body while it comes and is given no deadline.
    `websocket`: a handshake is passed on to the service (websocket.py).
    `priority` is the class of its requests when not all can be served.
    """

    prefix: str
    service: str = ""
    endpoint: str = "proxy"
    open_methods: frozenset[str] = frozenset()
    open_below: bool = False
    seconds: float = BY_PROPERTY
    body_bytes: int | None = BY_PROPERTY
    streaming: bool = False
    websocket: bool = False
    priority: Priority = Priority.DEGRADED

    def is_open(self, method: str, path: str) -> bool:
        """Say whether this request needs no identity."""
        return method in self.open_methods and (self.open_below or path == self.prefix)


_POST = frozenset({"POST"})
_OPTIONS = frozenset({"OPTIONS"})
_READ = frozenset({"GET", "HEAD", "OPTIONS"})
_BY_TOKEN = _READ | _POST  # a licence is asked for by POST

ROUTES: tuple[Route, ...] = (
    Route(prefix="/v1/titles", service="catalog", body_bytes=6 * _MIB),
    Route(prefix="/v1/home", service="catalog"),
    Route(prefix="/v1/artwork", service="catalog"),
    Route(prefix="/v1/catalog", service="catalog", seconds=300.0, priority=Priority.BEST_EFFORT),
    Route(
        prefix="/v1/uploads",
        service="encoding",
        open_methods=_OPTIONS,  # what tus clients ask before they sign in
        open_below=True,
        body_bytes=None,
        streaming=True,
        seconds=120.0,
    ),
    Route(prefix="/v1/jobs", service="encoding", priority=Priority.BEST_EFFORT),
    Route(prefix="/v1/reports", service="encoding", priority=Priority.BEST_EFFORT),
    Route(prefix="/v1/backfills", service="encoding", seconds=300.0, priority=Priority.BEST_EFFORT),
    Route(prefix="/v1/gc", service="encoding", seconds=300.0, priority=Priority.BULK),
    Route(prefix="/v1/plays", service="playback", priority=Priority.CRITICAL),
    Route(
        prefix="/v1/manifests",
        service="playback",
        open_methods=_BY_TOKEN,
        open_below=True,
        priority=Priority.CRITICAL,
    ),
    Route(prefix="/v1/claims", service="members", open_methods=_POST, priority=Priority.CRITICAL),
    Route(prefix="/v1/sessions", service="members", open_methods=_POST, priority=Priority.CRITICAL),
    Route(prefix="/v1/session", service="members", priority=Priority.CRITICAL),
    Route(prefix="/v1/account", service="members"),
    Route(prefix="/v1/invitations", service="members"),
    Route(prefix="/v1/tokens", service="members"),
    Route(prefix="/v1/properties", service="configuration"),
    Route(prefix="/v1/telemetry", service="telemetry"),
    Route(prefix="/v1/registry", service="discovery"),
    Route(prefix="/v1/events", endpoint="events"),
    Route(prefix="/v1/push", endpoint="push"),
    Route(prefix="/v1/gateway", endpoint="filters"),
    Route(prefix="/hystrix.stream", endpoint="hystrix"),
    Route(prefix="/healthz", endpoint="health", open_methods=_READ),
)

# The rest of /v1 does not exist; what is not under /v1 is the user interface.
NOTHING = Route(prefix="/v1", endpoint="nothing")
PAGES = Route(prefix="/", endpoint="pages", open_methods=_READ, open_below=True)


def check_route(route: object, others: Iterable[Route], endpoints: Collection[str]) -> None:
    """Raise BadInput for a route of an operator's endpoint that no request could take, or that is somebody else's."""
    try:
        found = msgspec.convert(msgspec.structs.asdict(route), Route)  # type: ignore[arg-type]  # told as a TypeError
    except (TypeError, msgspec.ValidationError) as error:
        raise BadInput(f"{str(route)[:200]!r} is no Route: {error}.") from error
    if not found.prefix.startswith("/") or prefix_of(found.prefix) != found.prefix:
        raise BadInput(
            f"The prefix {found.prefix[:200]!r} is none: take two segments below /v1, or one, as in /v1/hello."
        )
    if any(found.prefix == other.prefix and found != other for other in (*others, PAGES, NOTHING)):
        raise BadInput(
            f"The route {found.prefix} is there already; leave `route` out, and answer for it in applies_to."
        )
    if found.endpoint not in endpoints:
        raise BadInput(f"{found.endpoint[:200]!r} is no endpoint; there are {', '.join(sorted(endpoints))}.")


def prefix_of(path: str) -> str:
    """Return the part of a path by which its route is found: two segments under /v1, one elsewhere."""
    end = path.find("/", 4 if path.startswith("/v1/") else 1)
    return path if end < 0 else path[:end]
