"""What the gateway tells operators about its filters."""

from typing import Literal

import msgspec

FilterKind = Literal["inbound", "endpoint", "outbound"]
FilterState = Literal["running", "broken", "quarantined"]


class FilterStatus(msgspec.Struct, frozen=True):
    """One filter. `source` is "built-in" or the name of its file; `digest` is the SHA-256 of the contents that run.

    `broken`: the file cannot be used, for the reason in `problem`; if it could before, that version goes on (`digest` is
    its). `quarantined`: these contents have blocked a gateway, and run again only when they are changed. `failures` and
    `timeouts` count since these contents were loaded.
    """

    name: str
    kind: FilterKind | Literal[""]
    order: int
    source: str
    state: FilterState
    problem: str = ""
    digest: str = ""
    failures: int = 0
    timeouts: int = 0
    last_failure: str = ""


class FilterReport(msgspec.Struct, frozen=True):
    """All filters of the gateway that answered, in the order of kind and `order`; `problem` says why the folder is not used."""

    gateway: str
    folder: str
    filters: tuple[FilterStatus, ...]
    problem: str = ""
