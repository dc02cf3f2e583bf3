"""An answer on its way out, as outbound filters see it: they may change its status, its fields and its body.

Most filters only add lines, and most services send the same fields again and again; so the fields stay the service's until
a filter asks for them to change them, and their encoded form is kept beside them (`Headers.memo`).
"""

from typing import Protocol

from kinema.http import Head, Headers, encode_fields, encode_head, end_to_end
from kinema.http.headers import HOP_BY_HOP
from kinema.resilience.headers import RETRIED
from kinema.rpc.balance import UTILISATION

# What services tell their callers about themselves and their calls is nobody else's business.
_DROPPED = HOP_BY_HOP | {UTILISATION, RETRIED}

HeaderList = list[tuple[bytes, bytes]]


class Transform(Protocol):
    """Changes a streamed body piece by piece. One that fails cuts the answer off."""

    def data(self, piece: bytes) -> bytes:
        """Return what becomes of a piece of at most 64 KB; nothing yet is nothing."""
        ...

    def end(self) -> bytes:
        """Return what is still to come when the body is complete; not called when it was cut off."""
        ...


class Answer:
    """`body` is whole, or None while it streams; then `length` is its length (None: not known) and `transforms` change it.

    `lines` are further encoded fields (`encode_fields`). Whoever changes a streamed body's length sets `length` to None.
    """

    __slots__ = ("_fields", "_received", "body", "length", "lines", "status", "transforms")

    def __init__(
        self,
        status: int,
        fields: Headers | HeaderList,
        body: bytes | memoryview | None,
        length: int | None,
        lines: list[bytes],
    ) -> None:
        self.status = status
        self.body = body
        self.length = length
        self.lines = lines
        self.transforms: list[Transform] | None = None
        if fields.__class__ is list:
            self._fields: HeaderList | None = fields
            self._received: Headers | None = None
        else:
            self._fields = None
            self._received = fields  # type: ignore[assignment]  # not a list, and only two kinds may come

    @property
    def fields(self) -> HeaderList:
        """The fields, names in lower case, without the framing; may be changed."""
        if self._fields is None:
            self._fields = [] if self._received is None else end_to_end(self._received, _DROPPED)
        return self._fields

    @fields.setter
    def fields(self, fields: HeaderList) -> None:
        self._fields = fields

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of this lower-case name, or None."""
        if self._fields is None and self._received is not None:
            return self._received.get(name)
        return next((value for found, value in self.fields if found == name), None)

    def get_all(self, name: bytes) -> list[bytes]:
        """Return every value of this lower-case name."""
        if self._fields is None and self._received is not None:
            return self._received.get_all(name)
        return [value for found, value in self.fields if found == name]

    def set(self, name: bytes, value: bytes) -> None:
        """Put one field in the place of all of this lower-case name."""
        self.fields = [pair for pair in self.fields if pair[0] != name]
        self.fields.append((name, value))

    def remove(self, name: bytes) -> None:
        """Leave out all fields of this lower-case name."""
        self.fields = [pair for pair in self.fields if pair[0] != name]

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field."""
        self.lines.append(encode_fields(((name, value),)))

    def through(self, transform: Transform) -> None:
        """Have a streamed body pass a transform, after those that are there."""
        if self.transforms is None:
            self.transforms = []
        self.transforms.append(transform)

    def head(self) -> Head:
        """Encode status and fields, without the lines. Raises ValueError for what would be no head, or break it apart."""
        if not 200 <= self.status <= 599:
            raise ValueError(f"An answer has a status from 200 to 599, not {self.status!r}.")
        if self._fields is not None or self._received is None:
            return encode_head(self.status, self.fields)
        received = self._received
        kept = received.memo
        if kept.__class__ is not Head or kept.status != self.status:
            kept = received.memo = encode_head(self.status, end_to_end(received, _DROPPED))
        assert isinstance(kept, Head)
        return kept
