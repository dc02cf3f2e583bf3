"""What one process is told: which services it carries, and where everything stands."""

import msgspec


class Placement(msgspec.Struct, frozen=True):
    """What one process is told: which services it carries, and where everything stands. It travels as JSON.

    `sockets` are inherited descriptors of listening sockets by service; `registries` are "host:port"; `registry_port` is
    the reserved port of this process's registry (0: any); `edge_base` is how players reach the edge (see playback);
    `number` ends the names of the instances.
    """

    process: str
    services: tuple[str, ...]
    number: str
    data_dir: str
    registries: tuple[str, ...]
    sockets: dict[str, int] = {}
    registry_port: int = 0
    edge_base: str = ""
    behind_tls: bool = False
    as_json: bool = True
