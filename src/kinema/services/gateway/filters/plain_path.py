"""Paths that could mean different things to different readers are refused before anything looks at them (see paths.py)."""

from typing import TYPE_CHECKING, ClassVar

from kinema.services.gateway.passage import Passage
from kinema.services.gateway.paths import check_path
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

_MOST_PATHS = 4096
_LONGEST_KEPT = 256


class PlainPath:
    """Raises BadInput for dot segments, encoded slashes and the like."""

    order: ClassVar[int] = 25
    by_head: ClassVar[bool] = True

    def __init__(self, parts: "Parts") -> None:
        del parts
        self._good: set[str] = set()

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Everything."""
        del route, opened
        return True

    def apply(self, passage: Passage) -> None:
        """Check the path, unless it was found good before."""
        path = passage.path
        if path in self._good:
            return
        check_path(path)
        if len(path) > _LONGEST_KEPT:
            return
        if len(self._good) >= _MOST_PATHS:
            self._good.clear()
        self._good.add(path)
