"""`kinema encode FILE -o DIR`: make a film's tracks in a directory, without a region. Run again, it goes on where it was.

It is imported with the command line itself, because `kinema encode` has commands below it; what does the work is not.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kinema.commands.options import AsJson
from kinema.core.errors import BadInput


def encode_film(
    file: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="The directory to make the tracks in.")],
    plan: Annotated[bool, Parameter(negative="", help="Print what is to be done, at which cost and why.")] = False,
    codec: Annotated[
        list[str] | None, Parameter(help="x264, x265 or svt-av1; repeated, the film gets several. Else x264.")
    ] = None,
    threads: Annotated[int | None, Parameter(help="How many processors to use here; else all.")] = None,
    as_json: AsJson = False,
) -> int:
    """Encode a film in a directory of its own. What was done before is not done again."""
    if threads is not None and threads < 1:
        raise BadInput(f"--threads is {threads}; use 1 or more.")
    from kinema.commands.encode import encode

    codecs = tuple(dict.fromkeys(codec or ["x264"]))
    encode(file, output, codecs, threads, plan=plan, as_json=as_json)
    return 0
