"""An operator's own filters: every `*.py` of a folder, taken up when it appears or changes, dropped when it goes.

    a new or changed file      imported in a thread (a slow import holds nobody up) and, if it is a filter, put in the old one's place
    a broken one               reported; the version before it goes on running
    a file that is gone        its filter goes
    contents in quarantine     never run (quarantine.py)

What runs is decided by contents, not by time stamps. The code of such a file can do whatever the gateway can: read every
session, sign any identity. So folder and files are used only when they belong to this process's user (or root) and nobody
else may write them: otherwise anybody who can write there would own the region.
"""

import asyncio
import hashlib
import math
import os
import stat
import sys
from collections.abc import Callable
from inspect import isclass, iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from kinema.core.errors import BadInput, KinemaError
from kinema.core.log import get_logger
from kinema.model.gateway import FilterStatus
from kinema.services.gateway.installed import DEADLINE_SECONDS, Installed
from kinema.services.gateway.quarantine import Entry, Quarantine

LARGEST_BYTES = 1 << 20
MOST_FILES = 200
IMPORT_SECONDS = 10.0
_AGAIN_SECONDS = 0.1
_PREFIX = "kinema_own_filters"
_KINDS = ("inbound", "endpoint", "outbound")
_log = get_logger(__name__)


class FilterBroken(BadInput):
    """A file that cannot be used as a filter."""

    code = "filter-broken"
    title = "The file is no filter"


class FolderUnsafe(KinemaError):
    """A folder of filters that somebody else could write to."""


class Source(msgspec.Struct, frozen=True):
    """The contents of one file, or why it cannot be used."""

    name: str
    path: str
    contents: bytes = b""
    digest: str = ""
    problem: str = ""


class _Held(msgspec.Struct):
    """What is known of one file: the version that runs, and what was last found there."""

    installed: Installed | None = None
    code: Source | None = None  # whose code may be on the loop: what runs, or what is being made
    digest: str = ""  # of what was last looked at, good or bad
    problem: str = ""
    quarantined: bool = False


class OwnFilters:
    """The filters of one folder. `make` builds a filter from its class, and `try_on` raises what taking it up would.

    `stuck` is told of an import that does not end.
    """

    def __init__(
        self,
        folder: Path,
        quarantine: Quarantine,
        make: Callable[[Any], Any],
        try_on: Callable[[Installed], None],
        stuck: Callable[[Source, str], None],
        import_seconds: float = IMPORT_SECONDS,
    ) -> None:
        self.folder = folder
        self.problem = ""
        self._quarantine = quarantine
        self._make = make
        self._try_on = try_on
        self._stuck = stuck
        self._import_seconds = import_seconds
        self._held: dict[str, _Held] = {}
        self._seen: object = None

    @property
    def installed(self) -> tuple[Installed, ...]:
        """The filters that run."""
        return tuple(held.installed for held in self._held.values() if held.installed is not None)

    def running(self, path: str) -> Source | None:
        """Return what runs, or is just being made, of the code in this file."""
        held = self._held.get(Path(path).name) if os.path.dirname(path) == str(self.folder) else None  # noqa: PTH120
        return None if held is None else held.code

    async def look(self, *, at_start: bool = False) -> bool:
        """Take up what has changed; return whether anything did that requests could notice.

        While another gateway tries what is new, this one leaves it for its next look; `at_start`, it waits, as it must not serve
        without its filters, but not longer than the longest import takes.
        """
        seen = await asyncio.to_thread(_signature, self.folder, self._quarantine.folder)
        if seen == self._seen:
            return False
        left = self._import_seconds if at_start else 0.0
        while (alone := self._quarantine.alone()) is None and left > 0.0:
            await asyncio.sleep(_AGAIN_SECONDS)
            left -= _AGAIN_SECONDS
        if alone is None and not at_start:
            return False
        try:
            return await self._take_up(seen)
        finally:
            if alone is not None:
                os.close(alone)

    async def _take_up(self, seen: object) -> bool:
        before = self.installed
        sources, problem = await asyncio.to_thread(read_folder, self.folder)
        blocked = await asyncio.to_thread(self._quarantine.entries)
        if problem and problem != self.problem:
            _log.error("the folder of filters is not used; what runs goes on", folder=str(self.folder), error=problem)
        self.problem = problem
        self._seen = seen
        if problem:
            return False
        for name in [name for name in self._held if name not in sources]:
            if (gone := self._held.pop(name).installed) is not None:
                _forget(gone)
                _log.info("a filter is gone", file=name)
        for name, source in sources.items():
            await self._take(self._held.setdefault(name, _Held()), source, blocked)
        return before != self.installed

    def statuses(self) -> list[FilterStatus]:
        """Describe every file."""
        found: list[FilterStatus] = []
        for name, held in self._held.items():
            one = held.installed
            state = "quarantined" if held.quarantined else "broken" if held.problem else "running"
            if one is not None:
                found.append(one.status(state, held.problem))  # type: ignore[arg-type]  # one of the three
            else:
                found.append(FilterStatus(Path(name).stem, "", 0, name, state, held.problem))  # type: ignore[arg-type]
        return found

    async def _take(self, held: _Held, source: Source, blocked: dict[str, Entry]) -> None:
        """Bring one file's filter up to date."""
        running = held.installed
        if running is not None and running.digest in blocked:
            _forget(running)
            held.installed = held.code = running = None
            _log.error("a filter was taken out: it blocked a gateway", file=source.name)
        if source.digest in blocked:
            if held.digest != source.digest or not held.quarantined:
                entry = blocked[source.digest]
                held.problem = f"It blocked {entry.process} at {entry.where}; change the file to have it run again."
                held.quarantined, held.digest = True, source.digest
                _log.error("a filter is in quarantine", file=source.name, where=entry.where, process=entry.process)
            return
        held.quarantined = False
        if source.digest == held.digest and not (source.problem and source.problem != held.problem):
            return
        held.digest = source.digest
        held.problem = source.problem
        if not held.problem:
            before, held.code = held.code, source
            try:
                held.installed = await self._load(source)
            except FilterBroken as error:
                held.code = before
                held.problem = error.detail
            else:
                if running is not None and running.digest != source.digest:
                    _forget(running)
                _log.info("a filter was loaded", file=source.name, sha256=source.digest[:12])
                return
        _log.error(
            "a filter file cannot be used", file=source.name, error=held.problem, old_one_runs=running is not None
        )

    async def _load(self, source: Source) -> Installed:
        """Import the file in a thread and make its filter. Raises FilterBroken."""
        work = asyncio.get_running_loop().run_in_executor(None, load, source)
        done, _ = await asyncio.wait({work}, timeout=self._import_seconds)
        if not done:
            self._stuck(source, "its import")
            raise FilterBroken(f"{source.name} was still being imported after {self._import_seconds:g} s.")
        found = work.result()
        try:
            one = self._make(found)
            installed = Installed(Path(source.name).stem, found.kind, one, source=source.name, digest=source.digest)
            self._try_on(installed)
        except KinemaError as error:
            raise FilterBroken(f"The filter of {source.name} refuses to be made: {error}") from error
        except (Exception, SystemExit) as error:
            raise FilterBroken(
                f"The filter of {source.name} cannot be made: {type(error).__name__}: {error}."
            ) from error
        return installed


def load(source: Source) -> Any:
    """Run a file's code and return its filter class. Raises FilterBroken, which says what is missing or wrong where."""
    name = _module_name(source.name, source.digest)
    module = ModuleType(name)
    module.__file__ = source.path
    sys.modules[name] = module  # dataclasses and msgspec look their module up here, perhaps much later
    try:
        exec(compile(source.contents, source.path, "exec"), module.__dict__)  # noqa: S102 (this is what an own filter is; see the module's text)
    except SyntaxError as error:
        raise FilterBroken(f"{source.name}, line {error.lineno}: {error.msg}.") from error
    except BaseException as error:  # SystemExit too: this runs in a thread, and nothing in there ends the gateway
        raise FilterBroken(f"{source.name} failed while it was imported: {_where(error, source)}") from error
    classes = [
        value
        for key, value in vars(module).items()
        if isclass(value) and value.__module__ == name and not key.startswith("_")
    ]
    if len(classes) != 1:
        raise FilterBroken(f"{source.name} has {len(classes)} public classes; a file has one filter, as its only one.")
    return _checked(classes[0], source.name)


def _module_name(file: str, digest: str) -> str:
    return f"{_PREFIX}.{Path(file).stem}_{digest[:12]}"


def _forget(installed: Installed | None) -> None:
    """Let go of the module of a filter that is not taken for new requests any more; those under way still hold its code."""
    if installed is not None:
        sys.modules.pop(_module_name(installed.source, installed.digest), None)


def _checked(found: Any, file: str) -> Any:
    kind = getattr(found, "kind", None)
    if kind not in _KINDS:
        raise FilterBroken(f"{found.__name__} in {file} has the kind {kind!r}; it must be one of {', '.join(_KINDS)}.")
    order = getattr(found, "order", None)
    if not isinstance(order, int):
        raise FilterBroken(f"{found.__name__} in {file} has the order {order!r}; it must be a whole number.")
    seconds = getattr(found, "deadline_seconds", DEADLINE_SECONDS)
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise FilterBroken(f"{found.__name__} in {file} has the deadline {seconds!r}; it must be a number of seconds.")
    if iscoroutinefunction(getattr(found, "applies_to", None)):
        raise FilterBroken(
            f"{found.__name__} in {file} has an async applies_to; it is asked once, and must say at once."
        )
    missing = [name for name in ("applies_to", "apply") if not callable(getattr(found, name, None))]
    if missing:
        raise FilterBroken(f"{found.__name__} in {file} has no method {' and no method '.join(missing)}.")
    return found


def _where(error: BaseException, source: Source) -> str:
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source.path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: {type(error).__name__}: {error}."


def _signature(*folders: Path) -> object:
    """Return something that differs when a file of these folders does."""
    found: list[object] = []
    for folder in folders:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            about = folder.stat()
        except OSError as error:
            found.append((str(folder), error.errno))
            continue
        found.append((str(folder), about.st_mode, about.st_uid))
        for entry in entries:
            try:
                facts = entry.stat()
            except OSError:
                continue
            found.append((entry.name, facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_mode, facts.st_uid))
    return found


def read_folder(folder: Path) -> tuple[dict[str, Source], str]:
    """Return the files by name, and why the folder as a whole cannot be used (no folder at all is nothing wrong)."""
    try:
        facts = folder.stat()
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"{folder} cannot be read: {error}."
    if not stat.S_ISDIR(facts.st_mode):
        return {}, f"{folder} is no folder."
    if problem := _unsafe(folder, facts):
        return {}, problem
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if _is_filter(entry.name))
    except OSError as error:
        return {}, f"{folder} cannot be read: {error}."
    if len(names) > MOST_FILES:
        return {}, f"{folder} has {len(names)} files; at most {MOST_FILES} filters are taken."
    return {name: _read(folder / name) for name in names}, ""


def _is_filter(name: str) -> bool:
    return name.endswith(".py") and not name.startswith((".", "_"))


def _read(path: Path) -> Source:
    """Read a file through one descriptor, so that what was checked is what is read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 (a pipe must not block)
            facts = os.fstat(file.fileno())
            problem = "" if stat.S_ISREG(facts.st_mode) else f"{path.name} is no regular file."
            problem = problem or _unsafe(path, facts)
            contents = b"" if problem else file.read(LARGEST_BYTES + 1)
    except OSError as error:
        return Source(path.name, str(path), problem=f"{path.name} cannot be read: {error}.")
    if len(contents) > LARGEST_BYTES:
        problem = f"{path.name} is larger than {LARGEST_BYTES} bytes."
    digest = hashlib.sha256(contents).hexdigest()
    return Source(path.name, str(path), contents, digest, problem)


def _unsafe(path: Path, facts: os.stat_result) -> str:
    if facts.st_uid not in {0, os.geteuid()}:
        return f"{path} belongs to another user (uid {facts.st_uid}), who could have the gateway do anything; own it."
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path} may be written by others, who could have the gateway do anything; run chmod go-w on it."
    return ""
