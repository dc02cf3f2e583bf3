"""`kinema serve NAME` and `kinema worker`: one service of a region in this process, wired as everywhere."""

import secrets
from typing import Annotated

import msgspec
from cyclopts import Parameter

from kinema.cluster import region_file
from kinema.cluster.sockets import listen
from kinema.cluster.topology import SERVICES
from kinema.commands.options import Data, data_dir
from kinema.core.errors import BadInput, NotFound
from kinema.wiring import Placement
from kinema.wiring.processes import run_placement

RegistryOption = Annotated[
    list[str] | None,
    Parameter(name="--registry", help="host:port of a registry; else those of the region that runs on --data."),
]


def serve(
    name: str,
    /,
    *,
    data: Data = None,
    port: Annotated[int, Parameter(help="The port to listen on; 0 picks one.")] = 0,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    registry: RegistryOption = None,
    number: Annotated[
        int | None, Parameter(help="The number that ends the instance's name; else one at random.")
    ] = None,
) -> int:
    """Run one service alone; it joins the region that runs on the data directory, or the registries that are named."""
    if name not in SERVICES:
        raise BadInput(f"There is no service {name!r}; use one of {', '.join(SERVICES)}.")
    directory = data_dir(data)
    registries = tuple(registry or ())
    if not registries:
        try:
            registries = region_file.read(directory).registries
        except NotFound:
            if name != "discovery":
                raise
    opened = None if name == "worker" else listen(host, port, name)
    base = "" if opened is None else f":{opened.getsockname()[1]}"
    suffix = str(number) if number is not None else secrets.token_hex(4)
    placement = Placement(
        process=f"{name}-{suffix}",
        services=(name,),
        number=suffix,
        data_dir=str(directory),
        registries=registries,
        sockets={} if opened is None else {name: opened.detach()},
        edge_base=base,
        as_json=False,
    )
    return run_placement(msgspec.json.encode(placement))


def worker(*, data: Data = None, registry: RegistryOption = None) -> int:
    """Run one more encoding worker beside a region."""
    return serve("worker", data=data, registry=registry)
