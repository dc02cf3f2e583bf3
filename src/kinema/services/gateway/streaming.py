"""The body of a streamed answer on its way through transforms, and before its head may be sent.

a piece comes                 cut to 64 KB; one cut goes through now, further ones in later turns of the loop
the client does not take it   the service pauses
the head waits for a filter   everything is held, and the service pauses
a transform fails             the answer is cut off: half of one must not look whole
"""

import asyncio
from collections import deque
from collections.abc import Callable

from kinema.http import Exchange
from kinema.services.gateway.answer import Answer

PIECE_BYTES = 64 * 1024
"""What goes through the transforms in one turn of the loop: compressing this much takes less than 5 ms."""


class Streaming:
    """Stands where an exchange's `write` and `finish` are used. `failed` is told why the answer had to be cut off."""

    __slots__ = ("_answer", "_ended", "_exchange", "_failed", "_on_writable", "_scheduled", "_waiting")

    def __init__(
        self, exchange: Exchange, on_writable: Callable[[], None] | None, failed: Callable[[BaseException], None]
    ) -> None:
        self._exchange = exchange
        self._on_writable = on_writable
        self._failed = failed
        self._answer: Answer | None = None
        self._waiting: deque[bytes] = deque()
        self._scheduled = False
        self._ended = False

    def begin(self, answer: Answer) -> None:
        """Send the head, and let what was held flow."""
        self._answer = answer
        self._exchange.on_writable = self._writable
        self._exchange.start(answer.head().extended(b"".join(answer.lines)), (), answer.length)
        if self._waiting or self._ended:
            self._schedule()
        elif self._on_writable is not None:
            self._on_writable()

    def write(self, piece: bytes) -> bool:
        """Send a piece; False: wait for `on_writable`."""
        if self._answer is not None and not self._waiting and len(piece) <= PIECE_BYTES:
            return self._pass(self._answer, piece)
        view = memoryview(piece)
        self._waiting.extend(bytes(view[at : at + PIECE_BYTES]) for at in range(0, len(piece), PIECE_BYTES))
        self._schedule()
        return False

    def finish(self) -> None:
        """The body is complete."""
        self._ended = True
        if self._answer is not None and not self._waiting:
            self._end(self._answer)

    def _pass(self, answer: Answer, piece: bytes) -> bool:
        try:
            for transform in answer.transforms or ():
                piece = transform.data(piece)
            return self._exchange.write(piece) if piece else True
        except Exception as error:  # noqa: BLE001 (whatever a filter's transform raises ends this answer only)
            self._waiting.clear()
            self._failed(error)
            return False

    def _end(self, answer: Answer) -> None:
        try:
            if last := self._last(answer):
                self._exchange.write(last)
        except Exception as error:  # noqa: BLE001 (as above)
            self._failed(error)
            return
        self._exchange.finish()

    def _last(self, answer: Answer) -> bytes:
        """Return what the transforms still hold: the end of each goes through those after it."""
        rest = b""
        for transform in answer.transforms or ():
            rest = (transform.data(rest) if rest else b"") + transform.end()
        return rest

    def _schedule(self) -> None:
        if not self._scheduled and self._answer is not None:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        answer = self._answer
        if answer is None or self._exchange.finished:
            return
        taken = self._pass(answer, self._waiting.popleft()) if self._waiting else True
        if not taken:
            return  # `_writable` goes on
        if self._waiting:
            self._schedule()
        elif self._ended:
            self._end(answer)
        elif self._on_writable is not None:
            self._on_writable()

    def _writable(self) -> None:
        if self._waiting or self._ended:
            self._schedule()
        elif self._on_writable is not None:
            self._on_writable()
