"""Players on other sites may read why a manifest was refused, so that they can renew their token; playback lets them read the rest."""

from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.services.gateway.answer import Answer
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_LINES = encode_fields(((b"access-control-allow-origin", b"*"),))


class CrossOrigin:
    """Adds Access-Control-Allow-Origin to errors, playback's own and the gateway's."""

    order: ClassVar[int] = 15

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Manifests: no cookie counts there, the token is in the path."""
        del opened
        return route.prefix == "/v1/manifests"

    def apply(self, passage: Passage, answer: Answer) -> None:
        """Add the field."""
        del passage
        if answer.status >= 400:
            answer.lines.append(_LINES)
