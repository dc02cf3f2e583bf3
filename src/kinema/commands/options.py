"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kinema.core.settings import default_data_dir

Data = Annotated[Path | None, Parameter(help="The data directory; else $KINEMA_DATA, else ~/.local/share/kinema.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for scripts.")]


def data_dir(chosen: Path | None) -> Path:
    """Return the data directory that a command works on."""
    return chosen.expanduser().absolute() if chosen else default_data_dir()
