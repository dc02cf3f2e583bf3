"""`kinema token` and `kinema claim`: access to a region, made on its own database, whether it runs or not."""

import asyncio
from typing import Annotated, Literal

from cyclopts import Parameter

from kinema.cluster import region_file
from kinema.commands.options import Data, data_dir
from kinema.core.errors import NotFound
from kinema.wiring import inside

RoleOption = Annotated[Literal["operator", "viewer"], Parameter(help="What the bearer may do.")]


def token(*, data: Data = None, role: RoleOption = "operator") -> None:
    """Print a new bearer token: `curl -H "Authorization: Bearer $(kinema token)" ...`."""
    print(asyncio.run(inside.new_token(data_dir(data), role)))


def claim(*, data: Data = None, role: RoleOption = "operator") -> None:
    """Print a new claim link. It works once, within a day."""
    directory = data_dir(data)
    try:
        url = region_file.read(directory).url
    except NotFound:
        url = "http://127.0.0.1:8080"
    print(f"{url}/claim#{asyncio.run(inside.new_claim(directory, role))}")
