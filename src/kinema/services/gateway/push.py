"""The devices that listen at this gateway, what they are told, and how long they stay (as Netflix's Zuul Push does it).

    each second     one turn of the connections: a ping keeps each; whoever did not answer the last one is cut, and those
                    whose session was verified longest ago are verified again (at most 100 a second)
    a slow device   is cut when it has not read what was written before; it comes back and gets the present state
    a lifetime      drawn at random around half an hour: then the device is asked to come again, so that connections spread
                    over the gateways that there are by then
    draining        every device is asked to come again, after a time drawn so that about 500 come back in a second

Events are delivered at most once: to the connections that are open at this moment, and kept for a while where the sender asked
for it (push_mailbox.py). Nothing waits for an acknowledgement.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from random import Random

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, Unauthenticated, Unavailable
from kinema.core.log import get_logger
from kinema.model.members import Who
from kinema.model.push import HandedMessage, PushState, Taken, Transport
from kinema.rpc.client import Rpc
from kinema.services.gateway.push_event import PushEvent
from kinema.services.gateway.push_mailbox import Mailbox, Remembered
from kinema.services.gateway.push_poll import Poll
from kinema.services.gateway.push_registry import Device, PushLimits, Registry
from kinema.services.gateway.sessions import Sessions

_POLL_SECONDS = 1.0
_TURN_SECONDS = 1.0
_LIFETIME_SECONDS = (1_440.0, 2_160.0)
_TOLD_AT_ONCE = 200  # devices; about 4 ms
_VERIFIED_A_TURN = 100
_VERIFIED_AT_ONCE = 16
_COMING_BACK_A_SECOND = 500
_LONGEST_AWAY_MS = 30_000

_log = get_logger(__name__)


class Push:
    """All devices of one gateway. Transports `admit`, then `join` and `leave`."""

    def __init__(
        self,
        rpc: Rpc,
        sessions: Sessions,
        clock: Clock,
        random: Random | None = None,
        limits: PushLimits | None = None,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._random = random or Random()  # noqa: S311 (spreads load, guards nothing)
        self.registry = Registry(limits or PushLimits())
        self._poll = Poll(rpc)
        self._mailbox = Mailbox(clock)
        self._remembered = Remembered(clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._verifying: asyncio.Task[None] | None = None
        self._closed = False
        self._messages = self._delivered = self._repeated = 0
        self._dropped: Counter[str] = Counter()

    # -- for transports ----------------------------------------------------------------------------------------------

    def admit(self, who: Who, transport: Transport) -> None:
        """Raise TooMany over a limit, Unavailable when this gateway is stopping."""
        if self._closed:
            raise Unavailable("This gateway is stopping; connect again, another one will answer.")
        self.registry.check(who, transport)

    def join(self, device: Device, after: str) -> None:
        """Take a connection in and tell it what is now, and what was kept since `after` (see push_mailbox.py)."""
        now = self._clock.monotonic()
        device.verified_at = now
        device.ends_at = now + self._random.uniform(*_LIFETIME_SECONDS)
        self.registry.add(device)
        for event in self._poll.present(device):
            device.send(event)
        for event in self._mailbox.since(after, device):
            self._delivered += device.send(event)
        if not self._tasks:
            self._begin(self._follow())
            self._begin(self._turns())

    def leave(self, device: Device) -> None:
        """Forget a connection that has ended."""
        self.registry.remove(device)

    def drop(self, device: Device, reason: str, *, unwanted: bool = False) -> None:
        """Cut a connection."""
        if self.registry.remove(device):
            self._dropped[reason] += 1
            device.cut(unwanted=unwanted)

    def part(self, device: Device, after_ms: int) -> None:
        """Ask a device to come again, and end its connection."""
        if self.registry.remove(device):
            self._dropped["moved_on"] += 1
            device.part(after_ms)

    def retry_ms(self) -> int:
        """Return after how many milliseconds a device whose connection breaks shall come back: another time for each."""
        return self._random.randint(500, 2_000)

    # -- for senders -------------------------------------------------------------------------------------------------

    async def deliver(self, handed: HandedMessage) -> Taken:
        """Tell the devices here for which a message is; one that was here before has no effect and the same answer.

        Raises Conflict when its key was used with another message.
        """
        async with self._turn:  # a repetition waits for the answer of the first
            before = self._remembered.find(handed)
            if before is not None:
                self._repeated += 1
                return before
            self._messages += 1
            event = PushEvent(handed.message.type, bytes(handed.message.data), handed.message_id)
            self._mailbox.keep(handed, event)
            taken = Taken(handed.message_id, await self._send(event, self.registry.of(handed.message.to)))
            self._delivered += taken.devices
            self._remembered.add(handed, taken)
            return taken

    def snapshot(self) -> PushState:
        """Return what is held and was done."""
        return PushState(
            transports=self.registry.states(),
            accounts=self.registry.accounts,
            kept=len(self._mailbox),
            messages=self._messages,
            delivered=self._delivered,
            repeated=self._repeated,
            dropped=dict(self._dropped),
        )

    async def close(self) -> None:
        """Ask every device to come again, which leads it to another gateway, and take no more."""
        self._closed = True
        devices = self.registry.all()
        longest = min(_LONGEST_AWAY_MS, max(1_000, 1_000 * len(devices) // _COMING_BACK_A_SECOND))
        for device in devices:
            self.part(device, self._random.randint(100, longest))
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _send(self, event: PushEvent, devices: list[Device]) -> int:
        """Write an event to devices, letting other work in between; return how many took it."""
        took = 0
        for number, device in enumerate(devices, 1):
            if device.send(event):
                took += 1
            else:
                self.drop(device, "slow")
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        return took

    async def _follow(self) -> None:
        """Tell what changes in the region, until nobody listens."""
        while len(self.registry):
            for event, operators_only in await self._poll.changes(self.registry):
                found = self.registry.all()
                await self._send(event, [one for one in found if one.role == "operator"] if operators_only else found)
            await self._clock.sleep(_POLL_SECONDS)
        self._poll.forget()
        for task in tuple(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        self._tasks.clear()  # at once: who comes before they have ended needs new ones

    async def _turns(self) -> None:
        number = 0
        while True:
            await self._clock.sleep(_TURN_SECONDS)
            number += 1
            now = self._clock.monotonic()
            due = self.registry.turn(number)
            for device in due:
                if now >= device.ends_at:
                    self.part(device, self._random.randint(100, 2_000))
                elif not device.ping():
                    self.drop(device, "silent")
            if self._verifying is None or self._verifying.done():
                self._verifying = self._begin(self._verify(due[:_VERIFIED_A_TURN]))

    async def _verify(self, devices: list[Device]) -> None:
        for start in range(0, len(devices), _VERIFIED_AT_ONCE):
            group = devices[start : start + _VERIFIED_AT_ONCE]
            await asyncio.gather(*(self._verify_one(device) for device in group))

    async def _verify_one(self, device: Device) -> None:
        try:
            who = (await self._sessions.verify(device.secret)).who
        except Unauthenticated:
            self.drop(device, "signed_out", unwanted=True)
            return
        except KinemaError as error:
            _log.info("a session could not be verified", error=str(error))
            return
        if (who.account, who.role) != (device.account, device.role):
            self.part(device, 100)  # it comes back as what it is now
        device.verified_at = self._clock.monotonic()
