"""What runs where: the processes of a region, read from TOML and checked before anything is started."""

import re
from pathlib import Path
from typing import Annotated

import msgspec

from kinema.core.errors import BadInput

IN_CELLS = frozenset({"discovery", "members", "catalog", "playback", "encoding", "configuration", "telemetry"})
ALONE = frozenset({"gateway", "edge", "worker"})  # each has a process, and an event loop, of its own
NEEDED = ("discovery", "members", "catalog", "playback", "encoding", "gateway", "edge", "worker")
SERVICES = (*NEEDED, "configuration", "telemetry")
_NAME = re.compile(r"[a-z]+(-[a-z]+)*-([1-9][0-9]?)")
_BUILT_IN = Path(__file__).with_name("topology.toml")


class Process(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One process: its name, the services in it, and the wave of the start (1 to 3) that it belongs to."""

    name: str
    services: tuple[str, ...]
    wave: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1

    @property
    def number(self) -> str:
        """The number at the end of the name, which the instances in the process take over."""
        return self.name.rpartition("-")[2]

    @property
    def group(self) -> str:
        """The name without its number: what processes of one kind share."""
        return self.name.rpartition("-")[0]

    def instance(self, service: str) -> str:
        """Return the name of this process's instance of a service."""
        return f"{service}-{self.number}"


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the processes of one group (`cell` is cell-1, cell-2, ...) may grow beyond those of the topology.

    `most` processes; `target` is the share of a core that each shall use (see autoscaling.py).
    """

    group: str
    most: Annotated[int, msgspec.Meta(ge=1, le=99)]
    target: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.6


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The processes of one region, in the order of their start, and what may be added to them."""

    process: tuple[Process, ...]
    scale: tuple[Scale, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all processes."""
        return frozenset(process.name for process in self.process)

    def group(self, name: str) -> tuple[Process, ...]:
        """Return the processes of a group."""
        return tuple(process for process in self.process if process.group == name)

    def with_process(self, process: Process) -> "Topology":
        """Return the same with one more process."""
        return msgspec.structs.replace(self, process=(*self.process, process))

    def without(self, name: str) -> "Topology":
        """Return the same without a process."""
        return msgspec.structs.replace(self, process=tuple(one for one in self.process if one.name != name))

    def carrying(self, service: str) -> tuple[Process, ...]:
        """Return the processes that carry a service."""
        return tuple(process for process in self.process if service in process.services)


def load(data_dir: Path) -> Topology:
    """Read `<data_dir>/topology.toml`, or the built-in topology when there is none. Raises BadInput naming the mistake."""
    own = data_dir / "topology.toml"
    path = own if own.exists() else _BUILT_IN
    try:
        topology = msgspec.toml.decode(path.read_bytes(), type=Topology)
        check(topology)
    except (msgspec.DecodeError, UnicodeDecodeError, BadInput) as error:
        raise BadInput(f"The topology {path} cannot be used: {error}") from error
    return topology


def check(topology: Topology) -> None:
    """Raise BadInput unless the processes can make a region together."""
    instances: set[str] = set()
    for process in topology.process:
        if not _NAME.fullmatch(process.name):
            raise BadInput(
                f"{process.name!r} is no name of a process; write letters, a hyphen and a number, as in cell-1."
            )
        _check_services(process)
        for service in process.services:
            if process.instance(service) in instances:
                raise BadInput(f"There would be two instances {process.instance(service)}; number the processes apart.")
            instances.add(process.instance(service))
    for scale in topology.scale:
        if not topology.group(scale.group):
            raise BadInput(
                f"There is no process {scale.group}-1 that {scale.group!r} could scale; name a group of processes."
            )
    for service in NEEDED:
        if not topology.carrying(service):
            raise BadInput(f"No process carries {service}; add it to one.")
        if service != "worker" and all(process.wave != 1 for process in topology.carrying(service)):
            raise BadInput(f"No process of wave 1 carries {service}, and without it no film plays; let one of them.")


def _check_services(process: Process) -> None:
    unknown = set(process.services) - IN_CELLS - ALONE
    if unknown:
        raise BadInput(
            f"{process.name} carries {min(unknown)!r}, which is no service; use one of {', '.join(SERVICES)}."
        )
    if not process.services:
        raise BadInput(f"{process.name} carries nothing; name its services.")
    alone = set(process.services) & ALONE
    if alone and len(process.services) > 1:
        raise BadInput(f"{process.name} carries {min(alone)} and others; {min(alone)} needs a process alone.")
