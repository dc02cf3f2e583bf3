"""`<data>/properties.toml`: the layer of properties that stands in a file and follows it while everything runs.

    [gateway]
    body_limit = 2_000_000          # the property gateway.body_limit

The file is looked at each second and read when it has changed. One that cannot be read leaves in force what it said
before, and is reported once. Without a file the layer is empty.
"""

import tomllib
from pathlib import Path

from kinema.core import log
from kinema.core.errors import KinemaError
from kinema.core.properties import Properties

NAME = "properties.toml"
_MOST_BYTES = 1 << 20
_log = log.get_logger(__name__)


class PropertyFileBroken(KinemaError):
    """The file of properties cannot be used."""


class PropertyFile:
    """The file of a data directory, as `properties` has it."""

    def __init__(self, data_dir: Path, properties: Properties) -> None:
        self._path = data_dir / NAME
        self._properties = properties
        self._seen: tuple[int, int, int] | None = None

    def follow(self) -> None:
        """Hand the file's values to the properties if it has changed since the last call. Reads at most 1 MiB."""
        found = self._stamp()
        if found == self._seen:
            return
        self._seen = found
        try:
            values = read(self._path) if found else {}
        except PropertyFileBroken as error:
            _log.error("the properties of the file stay as they were", error=str(error))
            return
        self._properties.replace_file(values)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return 0, 0, 0  # reading it will say why
        return found.st_mtime_ns, found.st_size, found.st_ino


def read(path: Path) -> dict[str, object]:
    """Return the values by full name. Raises PropertyFileBroken, which names the file and what is wrong with it."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise PropertyFileBroken(f"{path} has more than {_MOST_BYTES} bytes; take out what is no property.")
        return _flat("", tomllib.loads(text.decode()))
    except (OSError, ValueError, RecursionError) as error:
        raise PropertyFileBroken(f"{path} cannot be read as TOML: {error}; correct it or move it away.") from error


def _flat(prefix: str, table: dict[str, object]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        values |= _flat(name, value) if isinstance(value, dict) else {name: value}
    return values
