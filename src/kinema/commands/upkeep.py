"""`kinema gc`, `catalog pin`, `keys rotate`, `openapi`, `autoscalers`: what an operator does now and then."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from kinema.cluster.inside import Inside
from kinema.commands.options import AsJson, Data, data_dir
from kinema.core.errors import BadInput
from kinema.core.keys import PURPOSES, KeyRing


def gc(*, data: Data = None, as_json: AsJson = False) -> None:
    """Have a running region delete what no title, play or job refers to any more."""
    inside = Inside(data_dir(data))
    found = {
        service: msgspec.json.decode(inside.call(service, "POST", "/v1/gc", timeout=600.0).body or b"{}")
        for service in ("playback", "catalog", "encoding")
    }
    if as_json:
        print(json.dumps(found))
        return
    for service, result in found.items():
        facts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in result.items()) or "done"
        print(f"{service}: {facts}")


def pin(version: str, /, *, data: Data = None) -> None:
    """Serve this version of the catalogue to everybody until `latest` is pinned."""
    if version != "latest" and not version.isdigit():
        raise BadInput(f"{version!r} is no version; give a number, or `latest` to follow the newest again.")
    wanted = None if version == "latest" else int(version)
    Inside(data_dir(data)).call("catalog", "POST", "/v1/catalog/pin", {"version": wanted})
    print("The newest version is served." if wanted is None else f"Version {wanted} is served until you pin `latest`.")


def rotate(*, data: Data = None) -> None:
    """Make a new signing key for each purpose. A running region follows within a second; what is signed stays valid."""
    ring = KeyRing(data_dir(data))
    for purpose in PURPOSES:
        print(f"{purpose}: signs with {ring.rotate(purpose).id} from now on")


def openapi(*, out: Annotated[Path, Parameter(help="The directory to write to; made when missing.")]) -> None:
    """Write SERVICE.json for each service, without running any."""
    from kinema.wiring.inside import openapi_documents

    out.mkdir(parents=True, exist_ok=True)
    for service, document in openapi_documents().items():
        text = msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1)
        path = out / f"{service}.json"
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)
        print(path)


def autoscalers(*, data: Data = None) -> None:
    """Print the HorizontalPodAutoscalers that do on Kubernetes what the region's topology says of scaling."""
    from kinema.cluster import kubernetes, topology

    print(kubernetes.autoscalers(topology.load(data_dir(data))), end="")
