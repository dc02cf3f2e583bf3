"""Two registries on a wire that is cut and mended: whatever happened meanwhile, they agree soon after they can speak again."""

import asyncio
import tempfile
from pathlib import Path
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from kinema.core.clock import ManualClock
from kinema.core.keys import KeyRing
from kinema.http import ConnectFailed, Response
from kinema.http.headers import Headers
from kinema.rpc.badge import Badge
from kinema.services.discovery.eureka import Eureka
from kinema.services.discovery.instances import InstanceRegistry
from kinema.services.discovery.lease_time import TICK_SECONDS
from kinema.services.discovery.remote_regions import RemoteRegions
from kinema.services.discovery.replication import Peer, Replication
from kinema.services.discovery.surface import Access, Request, reply_of
from tests.unit.discovery.registrants import foreign, ours

KEYS = KeyRing(Path(tempfile.mkdtemp()))
SIDES = st.integers(0, 1)
IDS = st.sampled_from(["1", "2"])


class Wire:
    """Carries the requests of one registry to the other's contract, or does not."""

    def __init__(self):
        self.far = None
        self.cut = False

    async def fetch(self, origin, method, target, headers=(), body=b"", timeout=None):  # noqa: ASYNC109
        if self.cut:
            raise ConnectFailed("The wire is cut.")
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name, value) for name, value in headers if name != b"accept-encoding"],
            "server": ("127.0.0.1", 1),
        }

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            reply = await self.far.handle(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 -- as the surface does it
            reply = reply_of(error, path)
        return Response(reply.status, Headers({}), reply.body)


class PeersMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.dirty = 0
        self.alive = {}  # foreign instances that run, and when each registered last
        self.wires = [Wire(), Wire()]
        self.registries = [InstanceRegistry(self.clock, random=Random(side)) for side in range(2)]
        self.peers = []
        for side, registry in enumerate(self.registries):
            badge = Badge(f"discovery-{side}", KEYS, self.clock)
            peer = Peer("other", registry, self.wires[side], badge, self.clock, "")
            Replication(registry, [peer])
            self.peers.append(peer)
            contract = Eureka(registry, Access(KEYS, self.clock, ""), RemoteRegions({}))
            self.wires[1 - side].far = contract

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.close()

    async def _pump(self):
        """What Peer.run does, until nothing waits or the wire is cut."""
        for _ in range(4):
            for peer in self.peers:
                try:
                    if not peer._synced:
                        await peer.sync()
                    while peer._waiting:
                        await peer._send()
                except ConnectFailed:
                    pass

    def pump(self):
        self.loop.run_until_complete(self._pump())

    @rule(side=SIDES, instance_id=IDS)
    def register(self, side, instance_id):
        self.dirty += 1
        self.alive[instance_id] = self.dirty
        self.registries[side].register(foreign(instance_id=instance_id, last_dirty=self.dirty, duration_seconds=60))

    @rule(side=SIDES, instance_id=IDS)
    def heartbeat(self, side, instance_id):
        """As clients do it: whoever is not known registers again, as it is."""
        if instance_id not in self.alive:
            return
        registry, dirty = self.registries[side], self.alive[instance_id]
        key = ("ORDERS", instance_id)
        renewed = registry.renew(key)
        if not renewed or registry.entries.get(key).last_dirty < dirty:
            registry.register(foreign(instance_id=instance_id, last_dirty=dirty, duration_seconds=60))

    @rule(side=SIDES, instance_id=IDS)
    def cancel(self, side, instance_id):
        if self.alive.pop(instance_id, None) is not None:
            self.registries[side].cancel(("ORDERS", instance_id))

    @rule(side=SIDES, instance_id=IDS, status=st.sampled_from(["DOWN", "OUT_OF_SERVICE", "UP"]))
    def override(self, side, instance_id, status):
        self.registries[side].override(("ORDERS", instance_id), status)

    @rule(side=SIDES, instance_id=IDS)
    def restore(self, side, instance_id):
        self.registries[side].restore(("ORDERS", instance_id), "UP")

    @rule(side=SIDES, number=st.integers(1, 2))
    def beat_ours(self, side, number):
        self.registries[side].register_signed(ours(number=number))

    @rule(cut=st.booleans(), side=SIDES)
    def cut(self, cut, side):
        self.wires[side].cut = cut

    @rule()
    def talk(self):
        self.pump()

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def wait(self, seconds):
        for _ in range(int(seconds / TICK_SECONDS)):
            self.clock.advance(TICK_SECONDS)
            for registry in self.registries:
                registry.tick()

    @rule()
    def mend(self):
        """The wire is whole, everybody alive says so once, and what has left is given the time of its lease."""
        for wire in self.wires:
            wire.cut = False
        for _ in range(4):
            for instance_id in ("1", "2"):
                self.heartbeat(0, instance_id)
            self.pump()
            self.wait(30.0)
            self.pump()
        shown = [{entry.key: entry.status for entry in registry.entries} for registry in self.registries]
        assert shown[0] == shown[1]
        assert {key[1] for key in shown[0]} == set(self.alive)


PeersMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPeers = PeersMachine.TestCase
