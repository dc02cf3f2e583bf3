"""Faults on purpose: a sealed header asks the named points on a request's way to delay it or to fail it.

    a fault point     a name such as "rpc/catalog/catalog-1/GET/v1/home", asked with `at(name)` where a call is about to be made;
                      costs one look-up and does nothing unless the request being served carries a header that names it
    a header          names points by patterns (`*` any characters, `?` one, `[ab]` one of these), and for each: a delay, then
                      perhaps an answer's status or a broken connection, for a percentage of the passes
    it travels        with every call that is made for the request, so one header reaches the deepest service
    it is sealed      with the region's own key for faults and holds for minutes: nobody outside can bring or change one

The idea is Netflix's FIT ("FIT: Failure Injection Testing", 2014): a failure is tried on one request, or on a few, and not on
everybody.
"""

import math
from collections.abc import Callable
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from kinema.core.errors import BadInput, Forbidden
from kinema.core.keys import KeyRing
from kinema.core.signing import LONGEST, BadSignature, sign, verify

HEADER = "x-kinema-fault"
LIFETIME_SECONDS = 600.0
"""The longest time that a sealed header may hold."""

MOST_FAULTS = 8
MOST_DELAY_SECONDS = 60.0
_LONGEST_PATTERN = 200

Failure = Literal["", "connect", "lost"]


class Fault(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What happens at the points that `point` matches: wait, then answer with `status` or fail as `failure` says, or go on.

    `delay` is in seconds. `failure`: "connect" as if no connection could be made, "lost" as if it broke before the answer.
    `percent` of the passes are hit.
    """

    point: str
    delay: float = 0.0
    status: int = 0
    failure: Failure = ""
    percent: float = 100.0


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a header: the first fault whose pattern matches counts. `expires_at` is in Unix seconds."""

    faults: tuple[Fault, ...]
    expires_at: float


class Carried(msgspec.Struct, frozen=True):
    """The faults of the request being served, and the header value by which they travel on."""

    faults: tuple[Fault, ...]
    sealed: bytes


_decoder = msgspec.json.Decoder(Faults)
current: ContextVar[Carried | None] = ContextVar("faults", default=None)
"""What the request being served carries."""


def checked(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Return the faults. Raises BadInput for one that could not be meant."""
    if not 1 <= len(faults) <= MOST_FAULTS:
        raise BadInput(f"A fault header holds 1 to {MOST_FAULTS} faults, not {len(faults)}.")
    for fault in faults:
        if not fault.point or len(fault.point) > _LONGEST_PATTERN or not fault.point.isprintable():
            raise BadInput(
                f"A fault point is a pattern of 1 to {_LONGEST_PATTERN} characters, not {fault.point[:300]!r}."
            )
        if not 0.0 <= fault.delay <= MOST_DELAY_SECONDS:
            raise BadInput(f"A fault delays by 0 to {MOST_DELAY_SECONDS:g} s, not by {fault.delay}.")
        if fault.status and not 400 <= fault.status <= 599:
            raise BadInput(f"A fault answers with a status from 400 to 599, not with {fault.status}.")
        if fault.status and fault.failure:
            raise BadInput(
                f"A fault either answers with {fault.status} or breaks the connection; leave one of them out."
            )
        if not (fault.delay or fault.status or fault.failure):
            raise BadInput(f"The fault at {fault.point!r} does nothing; give it a delay, a status or a failure.")
        if not 0.0 < fault.percent <= 100.0:
            raise BadInput(f"A fault hits more than 0 and at most 100 percent of the passes, not {fault.percent}.")
    return faults


def seal(faults: tuple[Fault, ...], keys: KeyRing, now: float, seconds: float = 60.0) -> str:
    """Return the header value for these faults, good for so many seconds from `now`. Raises BadInput (see `checked`)."""
    if not 0.0 < seconds <= LIFETIME_SECONDS:
        raise BadInput(f"A fault header holds for at most {LIFETIME_SECONDS:g} s, not for {seconds}.")
    sealed = sign(msgspec.json.encode(Faults(checked(faults), now + seconds)), keys.current("fault"))
    if len(sealed) > LONGEST:
        raise BadInput(f"These {len(faults)} faults do not fit into one header; use fewer, or shorter patterns.")
    return sealed


def unseal(text: str, keys: KeyRing, now: float) -> Carried:
    """Return what a header value asks for. Raises Forbidden when it is forged, broken or no longer holds at `now`."""
    try:
        found = _decoder.decode(verify(text, lambda key_id: keys.find("fault", key_id)))
        faults = checked(found.faults)
    except (BadSignature, msgspec.DecodeError, BadInput) as error:
        raise Forbidden("The fault header was not sealed by this region; have the operator seal one.") from error
    if not now < found.expires_at <= now + LIFETIME_SECONDS or not math.isfinite(found.expires_at):
        raise Forbidden("The fault header no longer holds; have the operator seal another.")
    return Carried(faults, text.encode())


def at(point: str, draw: Callable[[], float]) -> Fault | None:
    """Return what is to happen at a point, nearly always None; `draw` returns a number from 0 to 1 for the percentage."""
    carried = current.get()
    return None if carried is None else fault_of(carried, point, draw)


def fault_of(carried: Carried, point: str, draw: Callable[[], float]) -> Fault | None:
    """Return what these faults do at a point; None: nothing."""
    for fault in carried.faults:
        if fnmatchcase(point, fault.point):
            return fault if draw() * 100.0 < fault.percent else None
    return None
