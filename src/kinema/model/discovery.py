"""What `discovery` tells the others: which instances there are."""

import msgspec


class Instance(msgspec.Struct, frozen=True):
    """One running instance of a service. `address` is "host:port"; `metadata` holds what callers of that service need."""

    service: str
    instance: str
    address: str
    region: str
    zone: str
    version: str
    metadata: dict[str, str] = {}


class Registry(msgspec.Struct, frozen=True):
    """All live instances; `version` grows with each change. Not `settled`: up for less than a lease, so it may not know everybody.

    `left`: "service/instance" of those that signed off within the last half minute; `out_of_service` of those that are
    live and must not be called.
    """

    version: int
    instances: tuple[Instance, ...]
    settled: bool = True
    left: tuple[str, ...] = ()
    out_of_service: tuple[str, ...] = ()


class PeerState(msgspec.Struct, frozen=True):
    """How a registry stands with another one: `waiting` actions to be told, `dropped` because they waited too long."""

    address: str
    reachable: bool
    synced: bool
    waiting: int
    sent: int
    dropped: int
    error: str = ""


class LeaseState(msgspec.Struct, frozen=True):
    """One instance as a registry sees it. `signed`: one of the region's own; `age_seconds` since its last heartbeat."""

    application: str
    instance: str
    address: str
    signed: bool
    status: str
    override: str
    age_seconds: float
    lease_seconds: float
    registered_at: float


class RegistryState(msgspec.Struct, frozen=True):
    """A registry (by its instance's name) from inside, for operators; late, overdue and the minutes speak of foreign instances.

    `renewals_per_minute` are those of the last minute, expected are `expected_per_minute`, and below
    `threshold_per_minute` self-preservation is near: it is on while more than the same share of instances is `late`.
    """

    registry: str
    settled: bool
    instances: tuple[LeaseState, ...]
    instances_left_out: int
    signed: int
    foreign: int
    late: int
    overdue: int
    renewals_per_minute: int
    expected_per_minute: float
    threshold_per_minute: float
    self_preservation: bool
    peers: tuple[PeerState, ...]


class StatusOverride(msgspec.Struct, frozen=True):
    """What an operator decides about an instance: UP, DOWN, STARTING or OUT_OF_SERVICE."""

    status: str
