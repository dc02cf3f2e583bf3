"""Which slices leave a full cache: the least recently used. Pure: it knows names and sizes, never files.

used(name)          moves a name to the young end
added(name, size)   puts it at the young end
victims()           takes names from the old end until what is left fits
"""

from collections import OrderedDict


class LeastRecentlyUsed:
    """The order in which slices leave a cache of `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        self._sizes: OrderedDict[str, int] = OrderedDict()  # oldest first
        self.used = self._sizes.move_to_end  # on the path of every hit, so without a call of our own between
        """Note that a name was asked for. KeyError when it is not held."""

    def __contains__(self, name: object) -> bool:
        return name in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def added(self, name: str, size: int) -> None:
        """Note that a name of this many bytes is held from now on."""
        self.removed(name)
        self._sizes[name] = size
        self.held += size

    def removed(self, name: str) -> None:
        """Note that a name is held no longer."""
        self.held -= self._sizes.pop(name, 0)

    def victims(self) -> list[str]:
        """Remove the names that must leave and return them, oldest first."""
        leaving = []
        while self.held > self.capacity and self._sizes:
            name, size = self._sizes.popitem(last=False)
            self.held -= size
            leaving.append(name)
        return leaving
