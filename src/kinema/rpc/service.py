"""The frame that every service stands in: a Litestar app in which each route needs an identity unless it says otherwise.

What the frame does for a service: verifies the sealed identity (a service called directly, past the gateway, answers 401),
checks roles, turns every error into problem+json without a stack trace, refuses what is too much and keeps to the caller's
deadline (admission.py), answers /healthz, and describes itself by OpenAPI at /schema/openapi.json.
"""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import HttpMethod, ScopeType
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, ControllerRouterHandler, Guard, LifespanHook, Message, Receive, Scope, Send

from kinema.core import identity as identities
from kinema.core import log, problem
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, KinemaError, Unauthenticated, Unavailable
from kinema.core.identity import Identity, Role
from kinema.core.keys import KeyRing
from kinema.resilience.headers import MARKED, RETRIED, format_retry_after
from kinema.resilience.shedding import LoadShedder
from kinema.rpc.admission import admission
from kinema.rpc.serving import is_from_below

_logger = log.get_logger(__name__)

AnyRequest = Request[object, object, State]
AnyConnection = ASGIConnection[Any, Any, Any, State]


def needs(role: Role) -> Guard:
    """Return a guard that lets only identities with at least this role pass; raises Forbidden.

    Guards are asynchronous, though they wait for nothing: the framework calls others in a thread.
    """

    async def guard(connection: AnyConnection, _: BaseRouteHandler) -> None:
        _identity_of(connection).require(role)

    return guard


def create_app(
    *,
    service: str,
    instance: str,
    keys: KeyRing,
    clock: Clock,
    routes: Sequence[ControllerRouterHandler],
    provide: Mapping[str, object] | None = None,
    on_startup: Sequence[LifespanHook] = (),
    on_shutdown: Sequence[LifespanHook] = (),
    ready: Callable[[], bool] = lambda: True,
    max_body_bytes: int = 1 << 20,
) -> Litestar:
    """Return the app of one service instance.

    `provide` holds objects that handlers take by parameter name; `identity` is always one of them (on routes that are not
    public). `max_body_bytes` bounds a request's body; a handler may raise it for itself by `request_max_body_size`.
    What was refused for want of room stands in `app.state.shedder`.
    """
    shedder = LoadShedder(clock)

    async def authenticate(connection: AnyConnection, handler: BaseRouteHandler) -> None:
        if handler.opt.get("public"):
            return
        sealed = connection.headers.get(identities.HEADER)
        if not sealed:
            raise Unauthenticated("The request carries no identity; go through the gateway.")
        connection.state["identity"] = identities.unseal(sealed, keys, clock.now())

    @get("/healthz", opt={"public": True}, include_in_schema=False, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        if not ready():
            raise Unavailable(f"The {service} service is still starting; try again in a second.")
        return {"service": service, "instance": instance, "state": "ready"}

    dependencies = {name: _provider(value) for name, value in (provide or {}).items()}
    return Litestar(
        route_handlers=[healthz, *routes],
        dependencies={"identity": Provide(_provide_identity, sync_to_thread=False), **dependencies},
        guards=[authenticate],
        exception_handlers={
            KinemaError: _answer_error,
            HTTPException: _answer_http_error,
            UnicodeDecodeError: _answer_unreadable,
            RecursionError: _answer_unreadable,
            Exception: _answer_unexpected,
        },
        middleware=[admission(service, instance, keys, clock, shedder)],
        state=State({"shedder": shedder}),
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
        request_max_body_size=max_body_bytes,
        openapi_config=OpenAPIConfig(
            title=f"Kinema {service}",
            version="1",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        on_app_init=[_without_logging],
    )


class _Server(uvicorn.Server):
    """A uvicorn server among others in one process: signals belong to the process, not to a server."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. Accepted connections inherit TCP_NODELAY, which asyncio does not set on what it was handed.

        uvicorn writes head and body of an answer apart; without the option the body would wait for the acknowledgement of
        the head, which a caller on a kept connection delays by 40 ms.
        """
        for listener in sockets or ():
            if listener.family in {socket.AF_INET, socket.AF_INET6}:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await super().startup(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: ASGIApp, graceful_seconds: int = 3) -> uvicorn.Server:
    """Return a uvicorn server on plain asyncio for an app; start it with `serve(sockets=[...])`, stop it by `should_exit = True`."""
    return _Server(
        uvicorn.Config(
            _head_as_get(app),
            loop="asyncio",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=graceful_seconds,
        )
    )


def _head_as_get(app: ASGIApp) -> ASGIApp:
    """Answer a HEAD that no handler takes with what GET would answer, less the body (RFC 9110 section 9.3.2).

    The server below leaves the body of an answer to HEAD out.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return
        refused = False

        async def unless_refused(message: Message) -> None:
            nonlocal refused
            refused = refused or (message["type"] == "http.response.start" and message["status"] == 405)
            if not refused:
                await send(message)

        await app(scope.copy(), receive, unless_refused)
        if refused:
            as_get = scope.copy()
            as_get["method"] = HttpMethod.GET
            await app(as_get, receive, send)

    return handle


def open_socket(host: str, port: int = 0) -> socket.socket:
    """Return a listening TCP socket; port 0 picks a free one. Raises OSError when the port is taken."""
    listener = socket.create_server((host, port), backlog=512)
    listener.setblocking(False)
    return listener


def _identity_of(connection: AnyConnection) -> Identity:
    found = connection.state.get("identity")
    if not isinstance(found, Identity):
        raise Unauthenticated("The request carries no identity; go through the gateway.")
    return found


def _provide_identity(request: AnyRequest) -> Identity:
    return _identity_of(request)


def _provider(value: object) -> Provide:
    def same() -> object:
        return value

    return Provide(same, sync_to_thread=False)


def _without_logging(config: AppConfig) -> AppConfig:
    # Litestar would put its own handlers beside ours; the process has one log stream (core.log).
    config.logging_config = None
    return config


def _problem_response(error: BaseException, path: str) -> Response[bytes]:
    document = problem.problem_of(error, instance=path)
    headers = {"Cache-Control": "no-store"}
    if document.status in {429, 503}:
        headers["Retry-After"] = format_retry_after(getattr(error, "retry_after", 0.0)).decode()
    if document.status >= 500 and is_from_below(error):
        headers[RETRIED.decode()] = MARKED.decode()
    if document.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="kinema"'
    return Response(
        problem.encode(document), status_code=document.status, media_type=problem.MEDIA_TYPE, headers=headers
    )


_CLIENT_LEFT = "client disconnected prematurely"  # Litestar's words for a body that will never be whole


def _answer_error(request: AnyRequest, error: KinemaError) -> Response[bytes]:
    if error.status >= 500:
        _logger.warning("request failed", method=request.method, path=request.url.path, error=str(error))
    return _problem_response(error, request.url.path)


def _answer_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    detail = error.detail
    if error.status_code >= 500 and detail != _CLIENT_LEFT:
        _logger.error("failed inside the framework", method=request.method, path=request.url.path, exc_info=error)
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        detail = "; ".join(_said(item) for item in error.extra if isinstance(item, dict))
    document = problem.Problem(
        status=error.status_code,
        title=_TITLES.get(error.status_code, "The request cannot be used"),
        detail=detail or error.detail,
        type=f"urn:kinema:problem:http-{error.status_code}",
        instance=request.url.path,
    )
    return Response(
        problem.encode(document),
        status_code=error.status_code,
        media_type=problem.MEDIA_TYPE,
        headers=dict(error.headers or {}),
    )


def _said(item: dict[str, str]) -> str:
    key, message = item.get("key", "body"), item.get("message", "")
    if message == repr(key):  # a KeyError of the framework, which found no body at all
        return f"{key}: The request has no body; send JSON as the API describes it."
    return f"{key}: {message}"


_TITLES = {
    404: "Not found",
    405: "This method is not allowed here",
    413: "Too large",
    500: "Something went wrong on our side",
}


def _answer_unreadable(request: AnyRequest, error: UnicodeDecodeError | RecursionError) -> Response[bytes]:
    # msgspec raises both while the framework reads a body, where they are nobody's validation errors.
    _logger.info("what was sent cannot be read", method=request.method, path=request.url.path, error=str(error))
    return _problem_response(
        BadInput("The request is not text in UTF-8, or nested too deeply; send JSON as the API describes it."),
        request.url.path,
    )


def _answer_unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    _logger.error("unexpected error", method=request.method, path=request.url.path, exc_info=error)
    return _problem_response(error, request.url.path)
