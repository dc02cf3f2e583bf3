"""Paths as routes: what varies from call to call is replaced, so that calls can be counted by what they ask for.

    GET /v1/titles/ttl_01h.../publication    ->    GET /v1/titles/{id}/publication

A segment is an id when it has a digit (except the version at the front) or is longer than any name that we use. The called
service knows its templates exactly; a caller has only the path.
"""

import re

_ID = re.compile(r"(?!v[0-9]$)[^/]*[0-9][^/]*|[^/]{33,}")
_MOST = 4096

_known: dict[tuple[str, str], str] = {}


def route_of(method: str, path: str) -> str:
    """Return method and template of a call."""
    key = (method, path)
    found = _known.get(key)
    if found is None:
        segments = path.partition("?")[0].split("/")
        template = "/".join("{id}" if _ID.fullmatch(one) else one for one in segments)
        if len(_known) >= _MOST:
            _known.clear()
        found = _known[key] = f"{method} {template}"
    return found
