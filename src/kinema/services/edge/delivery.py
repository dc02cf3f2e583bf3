"""An answer that cannot be given at once: it waits for a slice, spans several, or its reader is slow.

No task: the delivery goes on when its filling has more or its client has taken what it was given. What a slow
reader holds is a view of a mapped file, at most one step of it in the socket's queue.
"""

from collections.abc import Callable

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.log import get_logger
from kinema.http import Exchange
from kinema.services.edge.answers import TrackAnswers, refuse
from kinema.services.edge.cache import SliceCache
from kinema.services.edge.filling import Filling
from kinema.services.edge.slices import Slice

_STEP = 256 * 1024  # bytes given to the socket at a time

_log = get_logger(__name__)


class Delivery:
    """Bytes `start` to `end` of a track for one exchange; `advance` begins it.

    `waited` hears how many seconds an answer that was no hit took to begin, and with which status.
    """

    def __init__(
        self,
        exchange: Exchange,
        track: TrackAnswers,
        start: int,
        end: int,
        *,
        whole: bool,
        cache: SliceCache,
        clock: Clock,
        waited: Callable[[float, int], None],
    ) -> None:
        self._exchange = exchange
        self._track = track
        self._start = self._position = start
        self._end = end
        self._whole = whole
        self._cache = cache
        self._clock = clock
        self._waited = waited
        self._asked_at = clock.monotonic()
        self._piece: Slice | None = None
        self._view: memoryview | None = None
        self._filling: Filling | None = None
        self._cached = b"hit"
        self._started = False
        self._advancing = False
        exchange.on_disconnect = self._leave
        exchange.on_writable = self.advance

    def advance(self) -> None:
        """Send what can be sent now."""
        if self._advancing or self._exchange.finished:
            return
        self._advancing = True
        try:
            self._send()
        except KinemaError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 -- called back from the loop, which has nobody to tell
            self._leave()
            self._exchange.fail(error)
        finally:
            self._advancing = False

    def _send(self) -> None:
        while self._position < self._end:
            piece = self._track.cut.at(self._position)
            if piece is not self._piece:
                self._turn_to(piece)
            view, until = self._servable(piece)
            if view is None or until <= self._position:
                return  # the filling calls again
            if not self._started:
                self._begin()
            if not self._write(piece, view, until):
                return  # the exchange calls again
        self._leave()
        self._exchange.finish()

    def _turn_to(self, piece: Slice) -> None:
        """Find out where the bytes of the next slice come from."""
        self._release()
        self._piece = piece
        slot = self._cache.ready(piece.name)
        end = min(self._end, piece.end)
        now = self._clock.now()
        if slot is not None and slot.take(self._position - piece.start, end - piece.start, now) is not None:
            self._view = slot.view
            return
        filling = self._filling = self._cache.obtain(piece)
        first = filling.watch(self.advance)
        if not first:
            self._cache.status.collapsed += 1
        if not self._started and not filling.from_disk:
            self._cached = b"fwd=miss; stored" if first else b"fwd=miss; collapsed"

    def _servable(self, piece: Slice) -> tuple[memoryview | None, int]:
        """The slice's bytes, and up to which byte of the track they may be sent now."""
        filling = self._filling
        if filling is None:
            return self._view, min(piece.end, self._end)
        if filling.error is not None:
            raise filling.error
        view = filling.slot.view if filling.slot is not None else None
        return view, min(piece.start + filling.available, self._end)

    def _begin(self) -> None:
        self._started = True
        if self._cached == b"hit":
            self._cache.status.hits += 1
        else:
            self._waited(self._clock.monotonic() - self._asked_at, 200)
        fields = self._track.fields(self._cached)
        if self._whole:
            self._exchange.start(200, fields, self._end)
        else:
            span = b"bytes %d-%d/%d" % (self._start, self._end - 1, self._track.cut.size)
            self._exchange.start(206, (*fields, (b"content-range", span)), self._end - self._start)

    def _write(self, piece: Slice, view: memoryview, until: int) -> bool:
        """Give the socket bytes up to `until`. False when it has enough for now and more is to come."""
        while self._position < until:
            step = min(self._position + _STEP, until)
            chunk = view[self._position - piece.start : step - piece.start]
            self._cache.status.bytes_sent += step - self._position
            self._position = step
            if not self._exchange.write(chunk) and self._position < self._end:
                return False
        return True

    def _fail(self, error: KinemaError) -> None:
        self._leave()
        if self._started:
            _log.warning("an answer was cut off", reason=error.detail)
            self._exchange.abort()
        else:
            self._waited(self._clock.monotonic() - self._asked_at, error.status)
            refuse(self._exchange, error)

    def _leave(self) -> None:
        """Nothing more will be sent."""
        self._exchange.on_writable = self._exchange.on_disconnect = None
        self._release()

    def _release(self) -> None:
        if self._filling is not None:
            self._filling.unwatch(self.advance)
        self._filling = self._view = self._piece = None
