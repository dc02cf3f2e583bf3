"""WebVTT (W3C, Candidate Recommendation of 2019): subtitles as cues, read leniently and written strictly. Pure.

What ffmpeg makes of the many kinds of subtitles is read, put in order, held inside the film and written anew, so that what
players and the packager get has one plain form: cues with their text, settings kept, nothing of styles, regions and notes.
"""

import re
from collections.abc import Iterable

import msgspec

_TIMING = re.compile(r"(?:(\d{1,4}):)?(\d{2}):(\d{2})[.,](\d{3})")
_ARROW = "-->"
_SETTING = re.compile(r"(?:align|line|position|size|vertical):[A-Za-z0-9.,%-]{1,40}")
_MOST_CUES = 100_000
_LONGEST_TEXT = 4000


class Cue(msgspec.Struct, frozen=True, order=True):
    """A text and when it is shown, in milliseconds from the film's start; `settings` say where ("line:10% align:start")."""

    start: int
    end: int
    text: str
    settings: str = ""


def parse(text: str) -> tuple[Cue, ...]:
    """Return the cues of a WebVTT file in the order of their times; blocks that are none are passed over."""
    found: list[Cue] = []
    for block in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")):
        cue = _cue(block.strip("\n").split("\n"))
        if cue is not None:
            found.append(cue)
            if len(found) == _MOST_CUES:
                break
    return tuple(sorted(found))


def within(cues: Iterable[Cue], milliseconds: int) -> tuple[Cue, ...]:
    """Return the cues inside a film that lasts so long: those behind its end are left out, one over its end is cut."""
    return tuple(
        msgspec.structs.replace(cue, end=min(cue.end, milliseconds)) for cue in cues if cue.start < milliseconds
    )


def write(cues: Iterable[Cue]) -> str:
    """Return a WebVTT file with these cues."""
    blocks = [
        f"{clock(cue.start)} {_ARROW} {clock(cue.end)}{cue.settings and ' ' + cue.settings}\n{cue.text}" for cue in cues
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def clock(milliseconds: int) -> str:
    """Return a time as WebVTT writes it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _cue(lines: list[str]) -> Cue | None:
    at = next((number for number, line in enumerate(lines[:2]) if _ARROW in line), None)
    if at is None:
        return None
    before, _, after = lines[at].partition(_ARROW)
    end, *settings = after.split() or [""]
    times = [_TIMING.fullmatch(part) for part in (before.strip(), end)]
    shown = "\n".join(line.rstrip() for line in lines[at + 1 :] if line.strip())[:_LONGEST_TEXT].replace(_ARROW, "->")
    if times[0] is None or times[1] is None or not shown.strip():
        return None
    first, last = (_milliseconds(time) for time in times if time is not None)
    if last <= first:
        return None
    return Cue(first, last, shown, " ".join(one for one in settings if _SETTING.fullmatch(one)))


def _milliseconds(time: re.Match[str]) -> int:
    hours, minutes, seconds, rest = (int(part or 0) for part in time.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
