"""Who can be reached through this gateway: the open connections of devices by account, and how many there may be. No I/O.

Connections are spread over `TURNS` turns, one of which comes up each second, so that what is done for all of them from time
to time (pings, asking whether their session still holds) never comes in one burst.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, get_args

import msgspec

from kinema.core.errors import TooMany
from kinema.model.members import Who
from kinema.model.push import Target, ToAccount, ToDevice, ToEverybody, ToRole, Transport, TransportState
from kinema.services.gateway.push_event import PushEvent

TURNS = 15
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)


class PushLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections one gateway holds."""

    connections: int = 6_000
    streams: int = 2_000
    """Of these, event streams: each browser has one, and asks for much else."""
    per_account: int = 60
    per_session: int = 12


class Device(ABC):
    """One open connection. `device` is the id that the client gave, or empty; times are in seconds of the steady clock."""

    __slots__ = ("account", "device", "ends_at", "role", "secret", "session", "turn", "verified_at")

    transport: ClassVar[Transport]

    def __init__(self, who: Who, device: str, secret: bytes) -> None:
        self.account = who.account
        self.session = who.session
        self.role = who.role
        self.device = device
        self.secret = secret
        self.turn = 0
        self.ends_at = 0.0
        self.verified_at = 0.0

    @abstractmethod
    def send(self, event: PushEvent) -> bool:
        """Write an event; False: it still has not read the last ones."""

    @abstractmethod
    def ping(self) -> bool:
        """Keep the connection; False: it does not read, or is dead."""

    @abstractmethod
    def part(self, after_ms: int) -> None:
        """Ask the device to come again after this time, and end the connection."""

    @abstractmethod
    def cut(self, *, unwanted: bool) -> None:
        """End the connection without waiting; `unwanted`: whoever holds it may not stay."""


class Registry:
    """The open connections of one gateway."""

    def __init__(self, limits: PushLimits) -> None:
        self.limits = limits
        self.opened: Counter[Transport] = Counter()
        self._open: Counter[Transport] = Counter()
        self._accounts: dict[str, set[Device]] = {}
        self._turns: tuple[set[Device], ...] = tuple(set() for _ in range(TURNS))
        self._next = 0
        self.operators = 0

    def __len__(self) -> int:
        return self._open.total()

    def __contains__(self, device: Device) -> bool:
        return device in self._accounts.get(device.account, ())

    @property
    def accounts(self) -> int:
        """How many accounts have a device here."""
        return len(self._accounts)

    def check(self, who: Who, transport: Transport) -> None:
        """Raise TooMany when one more connection of this session is over a limit."""
        limits = self.limits
        own = self._accounts.get(who.account, ())
        same = sum(1 for one in own if one.session == who.session)
        full = len(self) >= limits.connections or (transport == "sse" and self._open["sse"] >= limits.streams)
        if full or len(own) >= limits.per_account or same >= limits.per_session:
            raise TooMany("Too many event streams are open; close some tabs and try again.")

    def add(self, device: Device) -> None:
        """Count a connection in."""
        device.turn = self._next
        self._next = (self._next + 1) % TURNS
        self._turns[device.turn].add(device)
        self._accounts.setdefault(device.account, set()).add(device)
        self.operators += device.role == "operator"
        self._open[device.transport] += 1
        self.opened[device.transport] += 1

    def remove(self, device: Device) -> bool:
        """Forget a connection; False when it was not known."""
        own = self._accounts.get(device.account)
        if own is None or device not in own:
            return False
        own.remove(device)
        if not own:
            del self._accounts[device.account]
        self._turns[device.turn].discard(device)
        self.operators -= device.role == "operator"
        self._open[device.transport] -= 1
        return True

    def all(self) -> list[Device]:
        """Return every connection."""
        return [device for turn in self._turns for device in turn]

    def turn(self, number: int) -> list[Device]:
        """Return the connections of one turn, those verified longest ago first."""
        return sorted(self._turns[number % TURNS], key=lambda device: device.verified_at)

    def with_id(self, account: str, device: str) -> list[Device]:
        """Return the connections that an account's device holds."""
        return [one for one in self._accounts.get(account, ()) if one.device == device]

    def of(self, target: Target) -> list[Device]:
        """Return the connections that a message for this target goes to."""
        found: Iterable[Device] = (
            self._accounts.get(target.account, ()) if isinstance(target, ToAccount | ToDevice) else self.all()
        )
        return [one for one in found if reaches(target, one)]

    def states(self) -> tuple[TransportState, ...]:
        """Return the counts by transport."""
        return tuple(TransportState(one, self._open[one], self.opened[one]) for one in TRANSPORTS)


def reaches(target: Target, device: Device) -> bool:
    """Say whether a message for this target is for this device."""
    match target:
        case ToEverybody():
            return True
        case ToRole(role):
            return device.role == role
        case ToAccount(account):
            return device.account == account
        case ToDevice(account, name):
            return device.account == account and device.device == name
