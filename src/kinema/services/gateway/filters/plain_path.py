"""Paths that could mean different things to different readers are refused before anything looks at them (see paths.py)."""

from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.passage import Passage
from kinema.services.gateway.paths import check_path
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts


class PlainPath:
    """Raises BadInput for dot segments, encoded slashes and the like."""

    order: ClassVar[int] = 25

    def __init__(self, parts: "Parts") -> None:
        del parts

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything."""
        del route, opened
        return True

    def apply(self, passage: Passage) -> None:
        """Check the path."""
        check_path(passage.path)
