"""Eureka's REST contract, version 2, under /eureka/v2 and /eureka.

    POST   apps/APP                          register                            204
    PUT    apps/APP/ID                       heartbeat                           200, or 404: register again
    DELETE apps/APP/ID                       cancel                              200, 404
    PUT    apps/APP/ID/status?value=S        override the status                 200, 404
    DELETE apps/APP/ID/status[?value=S]      end that                            200, 404
    PUT    apps/APP/ID/metadata?KEY=VALUE    add to the metadata                 200, 404
    GET    apps, apps/delta, apps/APP, apps/APP/ID, instances/ID, vips/V, svips/V
    POST   peerreplication/batch             what another registry has heard     200, a status for each action

Lists and instances are XML unless the caller accepts JSON. `?regions=west,east` adds other regions' instances to lists. `x-netflix-discovery-replication: true` marks what a registry
passes on; it is not passed on again. Source: the classes of Eureka's com.netflix.eureka.resources.

Whatever comes here is foreign to us (see entries.py): it becomes no target of our own calls, whoever sends it. What
touches one of our own instances needs the identity of an operator or a service.
"""

from collections.abc import Awaitable, Callable, Sequence

from kinema.core.errors import BadInput, Forbidden, KinemaError, NotFound, Unsupported
from kinema.core.identity import Identity
from kinema.services.discovery import eureka_writing as writing
from kinema.services.discovery.entries import Entry, Key
from kinema.services.discovery.eureka_reading import ReplicationItem, read_batch, read_instance, read_number
from kinema.services.discovery.eureka_writing import Format
from kinema.services.discovery.instances import (
    CANCEL,
    DELETE_STATUS_OVERRIDE,
    HEARTBEAT,
    REGISTER,
    STATUS_UPDATE,
    InstanceRegistry,
)
from kinema.services.discovery.registrant import Registrant, check_registrant, check_timestamp
from kinema.services.discovery.remote_regions import RemoteRegion, RemoteRegions
from kinema.services.discovery.responses import Answer, Responses
from kinema.services.discovery.signed import GROUP, instance_of
from kinema.services.discovery.status import STATUSES
from kinema.services.discovery.surface import (
    Access,
    Handler,
    Headers,
    NoMethod,
    NotAcceptable,
    Reply,
    Request,
    media_type,
)

REPLICATION = b"x-netflix-discovery-replication"
_REGISTRATION_BYTES = 65_536
_BATCH_BYTES = 16 << 20
_SMALL_BYTES = 1_024  # what is not worth compressing
_READ_TYPES = ("application/json", "application/xml")
_OK = Reply(200)
_NO_CONTENT = Reply(204)
_REGISTER_AGAIN = Reply(404)


_List = Callable[[Format, Sequence[RemoteRegion]], Awaitable[Answer]]


class Eureka(Handler):
    """The contract on one registry."""

    def __init__(self, registry: InstanceRegistry, access: Access, regions: RemoteRegions) -> None:
        self._registry = registry
        self._regions = regions
        self._access = access
        self._responses = Responses(registry)

    async def handle(self, request: Request) -> Reply:
        """Answer one request."""
        self._access.check(request)
        segments = request.segments[1:]
        if segments and segments[0] == "v2":
            segments = segments[1:]
        match segments:
            case ["apps", app, instance_id]:
                return self._instance(request, (app.upper(), instance_id))
            case ["apps"]:
                _only(request, "GET")
                return await self._list(request, self._responses.everything)
            case ["apps", "delta"] if request.method == "GET":
                return await self._list(request, self._responses.delta)
            case ["apps", app]:
                return await self._application(request, app.upper())
            case ["apps", app, instance_id, "status"]:
                return self._status(request, (app.upper(), instance_id))
            case ["apps", app, instance_id, "metadata"]:
                return self._metadata(request, (app.upper(), instance_id))
            case ["instances", instance_id]:
                _only(request, "GET")
                return _shown(request, self._registry.entries.find(instance_id), instance_id)
            case ["vips" | "svips" as kind, vip]:
                _only(request, "GET")
                return await self._virtual(request, vip, secure=kind == "svips")
            case ["peerreplication", "batch"]:
                _only(request, "POST")
                return await self._batch(request)
        raise NotFound("Eureka's contract has no such path; see docs/parts/discovery.md.")

    # -- lists ----------------------------------------------------------------------------------------------------------

    async def _list(self, request: Request, answer: _List) -> Reply:
        form = _format(request)
        regions = self._regions.chosen(request.query.get("regions", ""))
        return await _sent(request, form, await answer(form, regions))

    async def _virtual(self, request: Request, vip: str, *, secure: bool) -> Reply:
        form = _format(request)
        answer = await self._responses.virtual(vip, form, secure=secure)
        if answer is None:
            raise NotFound(f"No instance has the virtual address {vip[:100]}.")
        return await _sent(request, form, answer)

    async def _application(self, request: Request, app: str) -> Reply:
        if request.method == "POST":
            kind = media_type(request)
            if kind not in _READ_TYPES:
                raise Unsupported(
                    f"A registration is application/json or application/xml, not {kind[:100] or 'untyped'}."
                )
            body = await request.body(_REGISTRATION_BYTES)
            now_ms = self._registry.now_ms()
            info = read_instance(body, kind, now_ms)
            check_registrant(info, app, now_ms)
            self._registry.register(info, replicated=_is_replicated(request))
            return _NO_CONTENT
        _only(request, "GET", "POST")
        form = _format(request)
        text = self._responses.application(app, form)
        if text is None:
            raise NotFound(f"There is no application {app[:100]}.")
        return Reply(200, text, form.media_type)

    # -- one instance -----------------------------------------------------------------------------------------------------

    def _instance(self, request: Request, key: Key) -> Reply:
        if request.method == "PUT":
            return self._heartbeat_of(request, key)
        if request.method == "DELETE":
            self._guard(request, key)
            return _found(self._registry.cancel(key, replicated=_is_replicated(request)), key)
        _only(request, "GET", "PUT", "DELETE")
        return _shown(request, self._registry.entries.get(key), key[1])

    def _heartbeat_of(self, request: Request, key: Key) -> Reply:
        self._guard(request, key)
        dirty = request.query.get("lastDirtyTimestamp")
        number = None if dirty is None else read_number("lastDirtyTimestamp", dirty)
        overridden = request.query.get("overriddenstatus")
        status, newer = self._heartbeat(key, number, overridden, replicated=_is_replicated(request))
        if newer is not None:
            form = _format(request)
            return Reply(status, form.instance(form.entry(newer)), form.media_type)
        return _OK if status == 200 else _REGISTER_AGAIN

    def _heartbeat(
        self, key: Key, dirty: int | None, overridden: str | None, *, replicated: bool
    ) -> tuple[int, Entry | None]:
        """Return the status of the answer, and for a conflict (409) the entry that is newer than the caller's."""
        registry = self._registry
        if dirty is not None:
            check_timestamp("lastDirtyTimestamp", dirty, registry.now_ms())
        if not registry.renew(key, replicated=replicated):
            return 404, None
        entry = registry.entries.get(key)
        if entry is None or dirty is None or dirty == entry.last_dirty:
            return 200, None
        if dirty > entry.last_dirty:  # the caller has changed since it registered here
            if replicated and overridden in STATUSES:
                registry.adopt_override(key, overridden)
            return 404, None
        return (409, entry) if replicated else (200, None)

    def _status(self, request: Request, key: Key) -> Reply:
        _only(request, "PUT", "DELETE")
        self._guard(request, key)
        value = request.query.get("value")
        if value is not None and value not in STATUSES:
            raise BadInput(f"The status {value[:50]!r} is none of {', '.join(sorted(STATUSES))}.")
        dirty = request.query.get("lastDirtyTimestamp")
        number = None if dirty is None else read_number("lastDirtyTimestamp", dirty)
        if number is not None:
            check_timestamp("lastDirtyTimestamp", number, self._registry.now_ms())
        replicated = _is_replicated(request)
        if request.method == "DELETE":
            return _found(self._registry.restore(key, value, last_dirty=number, replicated=replicated), key)
        if value is None:
            raise BadInput("Say which status: .../status?value=OUT_OF_SERVICE")
        return _found(self._registry.override(key, value, last_dirty=number, replicated=replicated), key)

    def _metadata(self, request: Request, key: Key) -> Reply:
        _only(request, "PUT")
        self._guard(request, key)
        return _found(self._registry.put_metadata(key, dict(request.query)), key)

    def _guard(self, request: Request, key: Key) -> None:
        """Let nobody but operators and services touch an instance of our own."""
        if key in self._registry.entries.signed:
            _may_touch(self._access.identity(request), key)

    # -- replication ------------------------------------------------------------------------------------------------------

    async def _batch(self, request: Request) -> Reply:
        if media_type(request) != "application/json":
            raise Unsupported("A batch of actions is application/json.")
        items = read_batch(await request.body(_BATCH_BYTES))
        identity = self._access.identity(request)
        answers = b",".join([self._answer(item, identity) for item in items])
        return Reply(200, b'{"responseList":[%b]}' % answers, "application/json")

    def _answer(self, item: ReplicationItem, identity: Identity | None) -> bytes:
        try:
            status, newer = self._replicate(item, identity)
        except KinemaError as error:
            return b'{"statusCode":%d}' % error.status
        if newer is None:
            return b'{"statusCode":%d}' % status
        return b'{"statusCode":%d,"responseEntity":%b}' % (status, writing.JSON.entry(newer))

    def _replicate(self, item: ReplicationItem, identity: Identity | None) -> tuple[int, Entry | None]:
        registry = self._registry
        key = (item.app_name.upper(), item.id)
        if key in registry.entries.signed:
            _may_touch(identity, key)
        if item.action == HEARTBEAT:
            return self._heartbeat(key, item.last_dirty, item.overridden_status, replicated=True)
        if item.action == REGISTER:
            info = item.registrant(registry.now_ms())
            if info is None:
                raise BadInput("A registration carries an instanceInfo.")
            take_over(registry, info, key[0], trusted=_is_service(identity))
            return 200, None
        if item.action == CANCEL:
            return (200 if registry.cancel(key, replicated=True, last_dirty=item.last_dirty) else 404), None
        status = item.status if item.status in STATUSES else None
        if item.action == STATUS_UPDATE and status is not None:
            done = registry.override(key, status, last_dirty=item.last_dirty, replicated=True)
        elif item.action == DELETE_STATUS_OVERRIDE:
            done = registry.restore(key, status, last_dirty=item.last_dirty, replicated=True)
        else:
            raise BadInput(f"The action {item.action[:50]!r} with the status {str(item.status)[:50]!r} is not known.")
        return (200 if done else 404), None


def take_over(registry: InstanceRegistry, info: Registrant, app: str, *, trusted: bool) -> None:
    """Register what another registry says. One of our own instances is believed from a `trusted` one alone."""
    check_registrant(info, app, registry.now_ms())
    if trusted and info.group == GROUP:
        registry.register_signed(instance_of(info), replicated=True, overridden=info.overridden_status)
    else:
        registry.register(info, replicated=True)


def _may_touch(identity: Identity | None, key: Key) -> None:
    if identity is None:
        raise Forbidden(
            f"{key[0]}/{key[1]} is one of the region's own instances; only operators and services may touch it."
        )
    identity.require("operator")


def _is_service(identity: Identity | None) -> bool:
    return identity is not None and identity.role == "service"


def _is_replicated(request: Request) -> bool:
    return request.headers.get(REPLICATION) == b"true"


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise NoMethod(f"{request.method[:20]} means nothing here; use {' or '.join(methods)}.")


def _found(done: bool, key: Key) -> Reply:
    if not done:
        raise NotFound(f"There is no instance {key[0][:100]}/{key[1][:100]}.")
    return _OK


def _format(request: Request) -> Format:
    """Return the form of the answer. Raises NotAcceptable."""
    accept = request.headers.get(b"accept", b"").lower()
    compact = request.headers.get(b"x-eureka-accept", b"").lower() == b"compact"
    if b"json" in accept:
        return writing.COMPACT_JSON if compact else writing.JSON
    if not accept or b"xml" in accept or b"*/*" in accept or b"application/*" in accept:
        return writing.COMPACT_XML if compact else writing.XML
    raise NotAcceptable("The answer is application/json or application/xml; accept one of them.")


async def _sent(request: Request, form: Format, answer: Answer) -> Reply:
    if len(answer.plain) < _SMALL_BYTES or b"gzip" not in request.headers.get(b"accept-encoding", b""):
        return Reply(200, answer.plain, form.media_type)
    headers: Headers = ((b"content-encoding", b"gzip"), (b"vary", b"accept, accept-encoding"))
    return Reply(200, await answer.gzipped(), form.media_type, headers)


def _shown(request: Request, entry: Entry | None, instance_id: str) -> Reply:
    if entry is None:
        raise NotFound(f"There is no instance {instance_id[:100]}.")
    form = _format(request)
    return Reply(200, form.instance(form.entry(entry)), form.media_type)
