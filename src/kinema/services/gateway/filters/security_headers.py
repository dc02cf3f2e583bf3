"""What browsers are told about every answer of the API: do not guess its type, do not frame it, run nothing in it."""

from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.services.gateway.answer import Answer
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_LINES = encode_fields(
    (
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    )
)


class SecurityHeaders:
    """Adds constant fields; the pages have a policy of their own (pages.py)."""

    order: ClassVar[int] = 10

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All of the API; manifests without a cookie may be read by players on other sites."""
        del opened
        return route.endpoint != "pages" and route.prefix != "/v1/manifests"

    def apply(self, passage: Passage, answer: Answer) -> None:
        """Add the fields."""
        del passage
        answer.lines.append(_LINES)
