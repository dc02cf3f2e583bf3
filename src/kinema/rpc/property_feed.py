"""How a process follows its properties: the file and the configuration service, each looked at once a second.

The runtime layer is kept in `<data>/run/properties.json` as it was last heard. A process that starts while no instance of
configuration answers begins with that, and one that runs goes on with what it has: nothing that plays a film waits for
configuration. The file's stamp and the service's entity tag make a second in which nothing changes cost next to nothing.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.problem import error_of
from kinema.core.properties import Properties
from kinema.core.property_file import PropertyFile
from kinema.model.configuration import RuntimeLayer
from kinema.rpc.client import Rpc

SERVICE = "configuration"
PATH = "/v1/internal/properties"
KEPT = "properties.json"
_EVERY_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_decoder = msgspec.json.Decoder(RuntimeLayer)
_log = log.get_logger(__name__)


class PropertyFeed:
    """Keeps the properties of one process up to date. Reads what stands in the data directory when it is made."""

    def __init__(self, properties: Properties, data_dir: Path, clock: Clock) -> None:
        self._properties = properties
        self._file = PropertyFile(data_dir, properties)
        self._kept = data_dir / "run" / KEPT
        self._clock = clock
        self._etag = b""
        self._complained = False
        self._task: asyncio.Task[None] | None = None
        self._file.follow()
        self._restore()

    async def start(self, rpc: Rpc) -> None:
        """Begin to follow; returns at once."""
        self._task = asyncio.create_task(self._follow(rpc), name="property-feed")

    async def close(self) -> None:
        """Stop following; the values stay."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self, rpc: Rpc) -> None:
        while True:
            self._file.follow()
            self._properties.expire()
            if rpc.directory.instances(SERVICE):
                await self._ask(rpc)
            await self._clock.sleep(_EVERY_SECONDS)

    async def _ask(self, rpc: Rpc) -> None:
        try:
            condition = ((b"if-none-match", self._etag),) if self._etag else ()
            answer = await rpc.request(SERVICE, "GET", PATH, headers=condition, deadline_seconds=_ANSWER_SECONDS)
            if answer.status == 304:
                return
            if answer.status != 200:
                raise error_of(answer.status, answer.body)
            layer = _decoder.decode(answer.body)
        except (KinemaError, msgspec.DecodeError) as error:
            if not self._complained:
                _log.warning("configuration does not answer; the properties stay as they are", error=str(error))
            self._complained = True
            return
        self._complained = False
        self._etag = answer.headers.get(b"etag") or b""
        self._properties.replace_overrides(layer.overrides)
        self._keep(answer.body)

    def _keep(self, body: bytes | bytearray | memoryview) -> None:
        """Write the layer down for processes that start without the service: a few kilobytes, whole or not at all."""
        temporary = self._kept.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(body)
            temporary.replace(self._kept)
        except OSError as error:  # a full disk must not keep a change from taking effect
            temporary.unlink(missing_ok=True)
            _log.warning("the properties could not be kept for the next start", error=str(error))

    def _restore(self) -> None:
        try:
            layer = _decoder.decode(self._kept.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("the properties that were kept cannot be read; they come with the service", error=str(error))
            return
        self._properties.replace_overrides(layer.overrides)
