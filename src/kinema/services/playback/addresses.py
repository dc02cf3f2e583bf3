"""Absolute addresses of manifests and media, from what the client asked for and what the edges say about themselves. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

from kinema.core.errors import BadInput, Unavailable
from kinema.core.ids import content_digest
from kinema.model.discovery import Instance
from kinema.model.encoding import Track

EDGE_BASE = "public_base"
"""Where an edge says how players reach it: ":8081" (this host, that port) or "https://cdn.example"."""

_HOST = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?\.?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE,
)


class Origin(msgspec.Struct, frozen=True):
    """The public address by which a client reached us. `port` is empty when it is the scheme's own."""

    scheme: str
    host: str
    port: str

    def __str__(self) -> str:
        """Return the origin as it stands before a path."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port else "")


def origin_of(host: str, proto: str) -> Origin:
    """Read the host and protocol that the gateway forwards. Raises BadInput when they are not a host and http or https."""
    found = _HOST.fullmatch(host)
    if found is None or int(found["port"] or 0) > 65535:
        raise BadInput(f"The request names the host {host[:80]!r}, which is none; ask by a host name or an address.")
    if proto not in ("http", "https"):
        raise BadInput(f"The request names the protocol {proto[:20]!r}; use http or https.")
    return Origin(scheme=proto, host=found["name"], port=found["port"] or "")


def edge_addresses(edges: Iterable[Instance], origin: Origin) -> tuple[str, ...]:
    """Return where players reach the edges, without trailing slashes and without repeats, in the given order.

    Raises Unavailable when no edge says how it is reached.
    """
    found: dict[str, None] = {}
    for edge in edges:
        base = edge.metadata.get(EDGE_BASE, "").rstrip("/")
        if base.startswith(":"):
            found[f"{origin.scheme}://{origin.host}{base}"] = None
        elif base:
            found[base] = None
    if not found:
        raise Unavailable("No edge is running that could deliver the film; try again in a few seconds.")
    return tuple(found)


def in_order(edges: Iterable[str], asset: str) -> tuple[str, ...]:
    """Return the edges in this asset's order of preference, by rendezvous hashing.

    Each asset prefers one edge, so caches do not all hold the same, and an edge that leaves moves only its own assets.
    """
    return tuple(sorted(edges, key=lambda edge: content_digest(f"{edge}\n{asset}".encode())))


def media_base(edge: str, token: str, asset: str, version: int) -> str:
    """Return the address beneath which an edge serves the tracks of a manifest version; ends in a slash."""
    return f"{edge}/m/{segment_of_path(token)}/{segment_of_path(asset)}/{version}/"


def media_name(track: Track) -> str:
    """Return the last segment of a track's address. It ends in `.mp4` and the like: FFmpeg's HLS reader, and with it mpv, insists on that."""
    return segment_of_path(track.file_name)


def media_address(edge: str, token: str, asset: str, version: int, track: Track) -> str:
    """Return the address of a track's file on an edge."""
    return media_base(edge, token, asset, version) + media_name(track)


def manifest_base(origin: Origin, token: str, asset: str, version: int) -> str:
    """Return the address beneath which the manifest texts of a version are served; ends in a slash."""
    return f"{origin}/v1/manifests/{segment_of_path(token)}/{segment_of_path(asset)}/{version}/"


def segment_of_path(text: str) -> str:
    """Return text as one segment of a path."""
    return quote(text, safe="")
