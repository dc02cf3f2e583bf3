"""What this registry hears it tells its peers, and what they heard before it began it asks of them.

    offer    an action waits in each peer's queue; a later one of the same kind for the same instance takes its place
    send     up to 250 at a time in one request; while it is under way the next ones gather
    answer   404 to a heartbeat: the peer has forgotten the instance, register it there; 409: the peer knows it newer, take
             that over
    failure  the batch goes back to the front; what has waited longer than it is worth is dropped
    sync     at the start, and after something was dropped: fetch all that the peer has, take over what is newer there, offer
             what is newer here

A peer that does not answer costs nobody else anything. Source: Eureka's PeerEurekaNode, ReplicationTaskProcessor and
PeerAwareInstanceRegistryImpl.syncUp.
"""

import asyncio
import base64
from collections.abc import Iterable

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, Unavailable
from kinema.core.log import get_logger
from kinema.http import Client
from kinema.model.discovery import PeerState
from kinema.resilience import FullJitter
from kinema.rpc.badge import Badge
from kinema.services.discovery import eureka_writing as writing
from kinema.services.discovery.entries import Entry
from kinema.services.discovery.eureka import take_over
from kinema.services.discovery.eureka_reading import ItemAnswer, decompress, read_applications, read_batch_answer
from kinema.services.discovery.instances import (
    CANCEL,
    DELETE_STATUS_OVERRIDE,
    FAREWELL_SECONDS,
    HEARTBEAT,
    REGISTER,
    STATUS_UPDATE,
    InstanceRegistry,
)
from kinema.services.discovery.registrant import Registrant
from kinema.services.discovery.status import UNKNOWN

_BATCH = 250
_MOST_WAITING = 20_000
_ANSWER_SECONDS = 5.0
_SYNC_SECONDS = 10.0
_SYNC_BYTES = 128 << 20
_SLICE = 100  # instances that are taken over between two turns of the event loop
_log = get_logger(__name__)


class _Action(msgspec.Struct):
    kind: str
    entry: Entry
    until: float


class Peer:
    """One other registry; `address` is host:port, `token` the registries' token or empty."""

    def __init__(
        self, address: str, registry: InstanceRegistry, client: Client, badge: Badge, clock: Clock, token: str
    ) -> None:
        self.address = address
        self._registry = registry
        self._client = client
        self._badge = badge
        self._clock = clock
        self._authorization = (
            ((b"authorization", b"Basic " + base64.b64encode(b"registry:" + token.encode())),) if token else ()
        )
        self._waiting: dict[tuple[str, str, str], _Action] = {}
        self._wake = asyncio.Event()
        self._backoff = FullJitter(base=0.1, most=1.0)
        self._synced = False
        self._failures = 0
        self._known = False  # whether it has ever answered: a peer that starts later is no news
        self._sent = 0
        self._dropped = 0
        self._error = ""

    def offer(self, kind: str, entry: Entry) -> None:
        """Have an action told to this peer."""
        brief = kind in {REGISTER, HEARTBEAT}  # the next heartbeat says the same again
        until = self._clock.monotonic() + (entry.info.renewal_seconds if brief else FAREWELL_SECONDS)
        key = (kind, *entry.key)
        self._waiting.pop(key, None)
        self._waiting[key] = _Action(kind, entry, until)
        if len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._lost(1)
        self._wake.set()

    async def run(self) -> None:
        """Tell the peer what there is, and take over what it has, until cancelled."""
        while True:
            if self._synced and not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            try:
                if not self._synced:
                    await self.sync()
                await self._send()
            except Exception as error:  # noqa: BLE001 -- whatever it was, replication goes on
                await self._failed(error)

    async def sync(self) -> None:
        """Take over what the peer has. Raises KinemaError when that cannot be had."""
        headers = [*self._headers(), (b"accept", b"application/json"), (b"accept-encoding", b"gzip")]
        answer = await self._client.fetch(self.address, "GET", "/eureka/v2/apps", headers, timeout=_SYNC_SECONDS)
        if answer.status != 200:
            raise Unavailable(f"The registry {self.address} answered a sync with status {answer.status}.")
        body = answer.body
        if answer.headers.get(b"content-encoding") == b"gzip":
            body = decompress(body, _SYNC_BYTES)
        found = await asyncio.to_thread(read_applications, body, self._registry.now_ms())
        for number, info in enumerate(found, 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            try:
                self._compare(info)
            except KinemaError as error:
                _log.debug("not taken over from a peer", peer=self.address, instance=info.id, error=str(error))
        theirs = {(info.app, info.id) for info in found}
        for entry in self._registry.entries:
            if entry.key not in theirs:
                self.offer(REGISTER, entry)
        self._synced = True
        self._fine()
        _log.debug("synced with a peer", peer=self.address, instances=len(found))

    def state(self) -> PeerState:
        """Return how things stand with this peer."""
        return PeerState(
            address=self.address,
            reachable=not self._failures and (self._synced or self._sent > 0),
            synced=self._synced,
            waiting=len(self._waiting),
            sent=self._sent,
            dropped=self._dropped,
            error=self._error,
        )

    async def _send(self) -> None:
        batch = self._take()
        if not batch:
            return
        body = b'{"replicationList":[%b]}' % b",".join([_written(action) for action in batch])
        headers = [*self._headers(), (b"content-type", b"application/json"), (b"accept", b"application/json")]
        try:
            answer = await self._client.fetch(
                self.address, "POST", "/eureka/v2/peerreplication/batch/", headers, body, timeout=_ANSWER_SECONDS
            )
            if answer.status >= 500:
                raise Unavailable(f"The registry {self.address} answered a batch with status {answer.status}.")
        except KinemaError:
            self._put_back(batch)
            raise
        try:
            if answer.status != 200:
                raise Unavailable(f"The registry {self.address} refused a batch with status {answer.status}.")
            said = read_batch_answer(answer.body)
        except KinemaError:
            self._lost(len(batch))  # it would be refused again
            raise
        self._fine()
        self._sent += len(batch)
        for action, one in zip(batch, said, strict=False):
            self._heed(action, one)

    def _take(self) -> list[_Action]:
        now = self._clock.monotonic()
        batch: list[_Action] = []
        while self._waiting and len(batch) < _BATCH:
            action = self._waiting.pop(next(iter(self._waiting)))
            if action.until <= now:
                self._lost(1)
            elif action.kind == CANCEL:
                batch.append(action)
            elif (entry := self._registry.entries.get(action.entry.key)) is not None:
                action.entry = entry  # as it is now: what has been decided since must not be undone
                batch.append(action)
        return batch

    def _put_back(self, batch: Iterable[_Action]) -> None:
        earlier = {(action.kind, *action.entry.key): action for action in batch}
        self._waiting = earlier | self._waiting

    def _heed(self, action: _Action, said: ItemAnswer) -> None:
        """Do what follows from the peer's answer to one action."""
        current = self._registry.entries.get(action.entry.key) is action.entry
        if said.status_code == 404 and action.kind == HEARTBEAT and current:
            self.offer(REGISTER, action.entry)
        elif said.status_code == 409 and said.response_entity is not None:
            try:
                info = said.registrant(self._registry.now_ms())
                if info is not None:
                    self._registry.adopt_override((info.app, info.id), info.overridden_status)
                    take_over(self._registry, info, info.app, trusted=True)
            except KinemaError as error:
                _log.debug("not taken over from a peer", peer=self.address, error=str(error))

    def _compare(self, info: Registrant) -> None:
        """Take over one instance of the peer's list, or offer the peer what we know better."""
        registry, key = self._registry, (info.app, info.id)
        known = registry.entries.get(key)
        if known is None and registry.has_left(key, info.last_dirty):
            self.offer(CANCEL, Entry(info, None, 0.0, info.last_updated))
        elif known is None or known.last_dirty < info.last_dirty:
            take_over(registry, info, info.app, trusted=True)
        elif known.last_dirty > info.last_dirty:
            self.offer(REGISTER, known)
        elif (known.status, known.override) != (info.status, info.overridden_status) and not registry.reconcile(
            known, info.status, info.overridden_status, info.last_updated
        ):
            self.offer(DELETE_STATUS_OVERRIDE if known.override == UNKNOWN else STATUS_UPDATE, known)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [self._badge.header(), (b"x-netflix-discovery-replication", b"true"), *self._authorization]

    def _lost(self, count: int) -> None:
        self._dropped += count
        self._synced = False

    def _fine(self) -> None:
        if self._failures > 3 and self._known:
            _log.info("a peer answers again", peer=self.address)
        self._known = True
        self._failures = 0
        self._error = ""

    async def _failed(self, error: Exception) -> None:
        if not isinstance(error, KinemaError) and not self._failures:
            _log.error("an unexpected error in replication", peer=self.address, exc_info=error)
        self._error = str(error)
        if self._failures == 3 and self._known:
            _log.warning("a peer does not answer", peer=self.address, error=self._error)
        await self._clock.sleep(self._backoff.wait(self._failures))
        self._failures += 1


class Replication:
    """All peers of a registry."""

    def __init__(self, registry: InstanceRegistry, peers: Iterable[Peer]) -> None:
        self.peers = tuple(peers)
        self._tasks: list[asyncio.Task[None]] = []
        registry.on_action = self._offer

    async def start(self, seconds: float) -> None:
        """Begin. Waits at most this long for a first sync: who asks a registry that has just started shall find everybody."""
        if not self.peers:
            return
        syncs = [asyncio.create_task(peer.sync()) for peer in self.peers]
        try:
            async with asyncio.timeout(seconds):
                for done in asyncio.as_completed(syncs):
                    try:
                        await done
                    except KinemaError as error:
                        _log.debug("no sync with a peer yet", error=str(error))
                    else:
                        break
        except TimeoutError:
            _log.warning("no peer has told in time what it knows; beginning without", seconds=seconds)
        for sync in syncs:
            sync.cancel()
        await asyncio.gather(*syncs, return_exceptions=True)
        self._tasks = [asyncio.create_task(peer.run()) for peer in self.peers]

    async def close(self) -> None:
        """Stop telling."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _offer(self, kind: str, entry: Entry) -> None:
        for peer in self.peers:
            peer.offer(kind, entry)


def _written(action: _Action) -> bytes:
    """Return an action as an item of a ReplicationList."""
    entry = action.entry
    fields: dict[str, object] = {
        "appName": entry.info.app,
        "id": entry.info.id,
        "lastDirtyTimestamp": entry.last_dirty,
        "status": entry.status,
        "action": action.kind,
    }
    if entry.override != UNKNOWN:
        fields["overriddenStatus"] = entry.override
    if action.kind == REGISTER:
        fields["instanceInfo"] = msgspec.Raw(writing.JSON.entry(entry))
    return msgspec.json.encode(fields)
