"""Twice a second: have filters or their configuration changed? Then new lanes are built and put in place at once."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kinema.core.clock import Clock
from kinema.core.log import get_logger
from kinema.model.gateway import FilterReport
from kinema.services.gateway.config import FILE, GatewayConfigBroken, read_config
from kinema.services.gateway.filters import BuiltIn, Filters, Parts
from kinema.services.gateway.installed import Installed
from kinema.services.gateway.own_filters import OwnFilters, Source
from kinema.services.gateway.quarantine import Entry, Quarantine

LOOK_SECONDS = 0.5
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
_KINDS = ("inbound", "endpoint", "outbound")
_log = get_logger(__name__)


class Reloading:
    """Keeps the filters of one gateway up to date. `changed` is called with them at the start and after every change.

    `try_on` raises what an operator's filter would raise when it is taken up, so that one that does never is.

    Without a data directory there are only the built-in filters, as they were made.
    """

    def __init__(
        self,
        name: str,
        parts: Parts,
        built_in: BuiltIn,
        filters_dir: Path | None,
        clock: Clock,
        changed: Callable[[Filters], None],
        try_on: Callable[[Installed], None],
    ) -> None:
        self._name = name
        self._parts = parts
        self._built_in = built_in
        self._clock = clock
        self._changed = changed
        self._own: OwnFilters | None = None
        self._looking = asyncio.Lock()
        self._config_digest = b""
        self._config_problem = ""
        self._task: asyncio.Task[None] | None = None
        data_dir = parts.data_dir
        self._config_path = data_dir / FILE if data_dir is not None else None
        if data_dir is not None:
            self._quarantine = Quarantine(data_dir)
            self._own = OwnFilters(
                filters_dir or data_dir / "filters", self._quarantine, self._make, try_on, self._stuck
            )

    async def start(self) -> None:
        """Load what is there, and look for changes from then on."""
        if self._own is not None:
            await self.look(at_start=True)
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop looking, and close what filters hold."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._built_in.close()

    async def look(self, *, at_start: bool = False) -> None:
        """Take up what has changed. Whoever looks meanwhile looks after this."""
        async with self._looking:
            configured = await self._look_at_config()
            changed = self._own is not None and await self._own.look(at_start=at_start)
            if configured or changed:
                self._changed(self.filters())

    def filters(self) -> Filters:
        """Return all filters as they are now."""
        return Filters((*self._built_in.installed, *(self._own.installed if self._own is not None else ())))

    def owner(self, path: str) -> Source | None:
        """Return the operator's filter whose code is in this file."""
        return None if self._own is None else self._own.running(path)

    def convict(self, culprit: Source, where: str) -> None:
        """Put a filter that holds the loop in quarantine and end this process at once; the supervisor starts another."""
        self._end(culprit, where)

    def report(self) -> FilterReport:
        """Describe all filters."""
        own = self._own
        found = [one.status() for one in self._built_in.installed]
        if own is not None:
            found += own.statuses()
        found.sort(key=lambda one: (_KINDS.index(one.kind) if one.kind else len(_KINDS), one.order, one.name))
        problems = [problem for problem in (own.problem if own is not None else "", self._config_problem) if problem]
        return FilterReport(
            self._name, str(own.folder) if own is not None else "", tuple(found), problem=" ".join(problems)
        )

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 (whatever it is, the next change is to be taken up)
                _log.warning("changes of filters could not be taken up", exc_info=error)

    async def _look_at_config(self) -> bool:
        if self._config_path is None:
            return False
        path = self._config_path
        digest = await asyncio.to_thread(_digest, path)
        if digest == self._config_digest:
            return False
        self._config_digest = digest
        try:
            config = await asyncio.to_thread(read_config, path)
            if config == self._parts.config and not self._config_problem:
                return False
            before, self._parts.config = self._parts.config, config
            try:
                self._built_in.reconfigure(self._parts)
            except Exception:
                self._parts.config = before
                raise
        except (GatewayConfigBroken, ValueError) as error:
            self._config_problem = str(error)
            _log.error("the gateway's configuration cannot be used; it stays as it was", error=str(error))
            return False
        self._config_problem = ""
        _log.info("the gateway's configuration was taken up", path=str(path))
        return True

    def _make(self, found: Any) -> Any:
        return found(self._parts)

    def _stuck(self, source: Source, what: str) -> None:
        self._end(source, f"{what}, which did not end")

    def _end(self, source: Source, where: str) -> None:
        entry = Entry(source.name, source.digest, where, time.time(), f"{self._name} (pid {os.getpid()})")
        self._quarantine.add(entry)
        # The main thread may hold the lock of the log, so the end does not depend on the line that tells of it.
        threading.Timer(0.2, os._exit, (EXIT_CODE,)).start()
        _log.critical("a filter blocked the gateway, which is replaced without it", file=source.name, where=where)
        os._exit(EXIT_CODE)


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""
