"""`kinema up`: start a region and keep it running until Ctrl-C."""

import asyncio
import os
import sys
from typing import Annotated

from cyclopts import Parameter

from kinema.cluster import region_file, tls, topology
from kinema.cluster.logs import LogStream
from kinema.cluster.region import run_region, token_path
from kinema.cluster.supervisor import Extra, Options
from kinema.commands.options import Data, data_dir
from kinema.core import settings
from kinema.core.errors import BadInput


def up(
    *,
    data: Data = None,
    port: Annotated[int, Parameter(help="The port of the gateway; the edge has the next one.")] = 8080,
    demo: Annotated[bool, Parameter(negative="", help="Put the demo catalogue in.")] = False,
    host: Annotated[
        str, Parameter(help="The name or address by which others reach this machine; alone, without TLS.")
    ] = "",
    tls_: Annotated[
        str, Parameter(name="--tls", help="`auto`, or the files CERT.pem:KEY.pem; starts Caddy in front. Needs --host.")
    ] = "",
    https_port: Annotated[int, Parameter(help="The port that Caddy listens on with --tls.")] = 443,
    log_json: Annotated[bool | None, Parameter(help="Log one JSON object a line.")] = None,
) -> int:
    """Start a region. Prints one line `ready http://...` when a play would succeed. Ctrl-C stops all of it."""
    if not 1 <= port <= 65534:
        raise BadInput(f"--port {port} is no port with one after it; choose one from 1 to 65534.")
    if tls_ and not host:
        raise BadInput("--tls needs --host NAME: the name that the certificate is for.")
    directory = data_dir(data)
    chosen = settings.load(directory)
    plan = topology.load(directory)
    lock = region_file.lock(directory)
    os.environ["KINEMA_DATA"] = str(directory)
    as_json = chosen.log_json if log_json is None else log_json
    extras: tuple[Extra, ...] = ()
    url = f"http://{host or '127.0.0.1'}:{port}"
    edge_base = f":{port + 1}"
    if tls_:
        front = tls.plan(directory, host, tls_, port, https_port)
        extras, url, edge_base = (front.process,), front.url, front.url
    options = Options(
        data_dir=directory,
        bind="127.0.0.1" if tls_ or not host or host in {"127.0.0.1", "localhost"} else "0.0.0.0",  # noqa: S104 -- asked for by --host
        port=port,
        url=url,
        edge_base=edge_base,
        behind_tls=bool(tls_),
        as_json=as_json,
        front=f"127.0.0.1:{https_port}" if tls_ else "",
    )
    log = LogStream(sys.stderr, as_json=as_json)
    try:
        asyncio.run(run_region(plan, options, log, extras, demo=_seeding(options) if demo else None, out=sys.stdout))
    finally:
        os.close(lock)
    return 0


def _seeding(options: Options) -> Extra:
    """Return the one-shot process that puts the demo catalogue in; it starts with the region and waits for its token."""
    return Extra(
        name="demo",
        service="demo",
        command=("module", "kinema.commands.demo"),
        environment={
            "KINEMA_DEMO_URL": f"http://127.0.0.1:{options.port}",
            "KINEMA_DEMO_TOKEN_FILE": str(token_path(options.data_dir)),
        },
        once=True,
    )
