"""A tus 1.0 client on plain blocking HTTP: an upload that was cut goes on where the server has it."""

import base64
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import msgspec

from kinema.cluster.ask import Answer, ask, expect
from kinema.core.errors import BadInput, Conflict, Gone, KinemaError, NotFound, StorageFull, TooMany, Unavailable

PART_BYTES = 8 << 20
"""Bytes of one PATCH: a cut costs at most what of one has not arrived."""

_CHUNK = 1 << 18
_PATIENCE_SECONDS = 60.0
_TUS = {"tus-resumable": "1.0.0"}


class Upload(msgspec.Struct, frozen=True):
    """An upload that the server knows: where it is, and the title that it becomes."""

    location: str
    title_id: str


class TusClient:
    """Uploads one file to one region. `progress` hears how many bytes have arrived."""

    def __init__(self, base: str, token: str, file: Path, memory: Path, progress: Callable[[int], None]) -> None:
        self._base = base.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}", **_TUS}
        self._file = file
        self._memory = memory / "uploads"
        self._progress = progress
        try:
            facts = file.stat()
        except OSError as error:
            raise BadInput(f"The file {file} cannot be read: {error.strerror}.") from error
        if not file.is_file():
            raise BadInput(f"{file} is no file; name the film itself.")
        self.size = facts.st_size
        self._mark = f"{file.absolute()}\n{facts.st_size}\n{facts.st_mtime_ns}\n{self._base}"

    def run(self, title: str) -> Upload:
        """Send the whole file, going on with an earlier run's upload of the same file; return the finished upload."""
        memory = self._memory / hashlib.sha256(f"{self._mark}\n{title}".encode()).hexdigest()[:32]
        upload, offset = self._remembered(memory)
        if upload is None:
            upload, offset = self._create(title), 0
            self._remember(memory, upload)
        with self._file.open("rb") as source:
            self._send_all(source, upload, offset)
        memory.unlink(missing_ok=True)
        return upload

    def _create(self, title: str) -> Upload:
        metadata = {"filename": self._file.name, "title": title}
        encoded = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in metadata.items())
        headers = {
            **self._headers,
            "upload-length": str(self.size),
            "upload-metadata": encoded,
            "idempotency-key": str(uuid.uuid4()),  # so that a repeat after a lost answer finds the upload that it began
        }
        answer = expect(_patiently(lambda: ask(self._base, "POST", "/v1/uploads", headers=headers, body=b"")), 201)
        location = urljoin(f"{self._base}/", answer.headers.get("location", ""))
        return Upload(location=urlsplit(location).path, title_id=answer.headers.get("kinema-title-id", ""))

    def _send_all(self, source: BinaryIO, upload: Upload, offset: int) -> None:
        self._progress(offset)
        trouble_since: float | None = None
        while offset < self.size:
            source.seek(offset)
            try:
                offset = self._send_part(source, upload, offset)
                trouble_since = None
            except KinemaError as error:
                if not _passing(error):
                    raise
                trouble_since = trouble_since or time.monotonic()
                if time.monotonic() - trouble_since > _PATIENCE_SECONDS:
                    raise Unavailable(
                        f"The upload stopped: {error} Run the same command again to go on with it."
                    ) from error
                time.sleep(0.3)
                offset = self._offset(upload) or offset
            self._progress(offset)

    def _send_part(self, source: BinaryIO, upload: Upload, offset: int) -> int:
        length = min(PART_BYTES, self.size - offset)
        headers = {
            **self._headers,
            "content-type": "application/offset+octet-stream",
            "content-length": str(length),
            "upload-offset": str(offset),
        }
        answer = ask(
            self._base,
            "PATCH",
            upload.location,
            headers=headers,
            body=_pieces(source, length),
            timeout=_PATIENCE_SECONDS,
        )
        expect(answer, 204)
        return int(answer.headers.get("upload-offset", offset + length))

    def _offset(self, upload: Upload) -> int | None:
        """Return how many bytes the server has, or None while it does not say. Raises NotFound or Gone."""
        try:
            answer = ask(self._base, "HEAD", upload.location, headers=self._headers)
        except Unavailable:
            return None
        if answer.status in (404, 410):
            raise Gone("The server does not have the upload any more; run the same command again to start anew.")
        return int(answer.headers["upload-offset"]) if "upload-offset" in answer.headers else None

    def _remembered(self, memory: Path) -> tuple[Upload | None, int]:
        try:
            upload = msgspec.json.decode(memory.read_bytes(), type=Upload)
            return upload, self._offset(upload) or 0
        except (FileNotFoundError, msgspec.DecodeError, NotFound, Gone):
            return None, 0

    def _remember(self, memory: Path, upload: Upload) -> None:
        try:
            memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            memory.write_bytes(msgspec.json.encode(upload))
        except OSError:
            pass  # without the note a cut upload starts anew, which is slower and just as right


def _pieces(source: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        piece = source.read(min(_CHUNK, length))
        if not piece:
            raise BadInput(f"The file {source.name} has become shorter while it was sent; upload it again.")
        length -= len(piece)
        yield piece


def _passing(error: KinemaError) -> bool:
    """Say whether the same bytes may be taken a moment later: the region is busy or being repaired, or is elsewhere in the file."""
    if isinstance(error, StorageFull):
        return False
    return error.status >= 500 or isinstance(error, TooMany | Conflict)


def _patiently(send: Callable[[], Answer]) -> Answer:
    """Send until somebody answers, for a minute at most: a gateway or service may just be being replaced."""
    begun = time.monotonic()
    while True:
        try:
            answer = send()
        except Unavailable:
            if time.monotonic() - begun > _PATIENCE_SECONDS:
                raise
        else:
            if answer.status not in (429, 502, 503, 504) or time.monotonic() - begun > _PATIENCE_SECONDS:
                return answer
        time.sleep(0.3)
