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

    `left`: "service/instance" of those that signed off within the last lease.
    """

    version: int
    instances: tuple[Instance, ...]
    settled: bool = True
    left: tuple[str, ...] = ()
