"""The key set of a data directory: secrets by purpose, each with an id, so that keys can be rotated while they are in use.

One file a purpose under `<data>/keys/`, mode 0600. The newest key signs; the older ones verify until they are dropped. The
keys of `content` seal other keys (see `envelope`) and are never dropped: without them protected films cannot be played. A
process that meets an unknown key id looks whether the file has changed, so a rotation reaches every process of the region
without a message and nothing that was just signed is refused.
"""

import base64
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from kinema.core.errors import KinemaError

Purpose = Literal["identity", "media", "cursor", "fault", "content"]
PURPOSES: tuple[Purpose, ...] = ("identity", "media", "cursor", "fault", "content")
_KEPT = 3  # the signing key and two before it
_SEALING = ("content",)  # what these have sealed must stay readable for as long as it is stored: none is dropped
_REREAD_SECONDS = 1.0


class Key(msgspec.Struct, frozen=True):
    """A secret of 32 bytes and the id by which tokens name it."""

    id: str
    secret: bytes


class _KeyFile(msgspec.Struct, frozen=True):
    keys: tuple[Key, ...]  # newest first


class KeyFileBroken(KinemaError):
    """A key file cannot be read as one."""


class KeyRing:
    """The keys of one data directory. Makes a purpose's first key when there is none."""

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir / "keys"
        self._read_at: dict[str, float] = {}
        self._keys: dict[str, tuple[Key, ...]] = {}
        self._stamps: dict[str, tuple[int, int] | None] = {}

    def current(self, purpose: Purpose) -> Key:
        """Return the key that signs. Follows a rotation by another process within a second."""
        if time.monotonic() - self._read_at.get(purpose, -_REREAD_SECONDS) >= _REREAD_SECONDS:
            self._load(purpose)
        return self._keys[purpose][0]

    def find(self, purpose: Purpose, key_id: str) -> Key | None:
        """Return the key with this id, or None when it never was or has been dropped."""
        found = self._held(purpose, key_id)
        if found is None and self._stamp(purpose) != self._stamps.get(purpose):
            self._load(purpose)
            found = self._held(purpose, key_id)
        return found

    def rotate(self, purpose: Purpose) -> Key:
        """Put a new key before the others and return it. Of keys that sign all but three are dropped, of those that seal none."""
        with self._locked(purpose):
            held = self._read(purpose)
            kept = held if purpose in _SEALING else held[: _KEPT - 1]
            fresh = _new_key()
            self._write(purpose, (fresh, *kept))
        self._load(purpose)
        return fresh

    def _load(self, purpose: Purpose) -> None:
        stamp = self._stamp(purpose)  # taken before reading: a rotation in between is seen at the next unknown id
        found = self._read(purpose)
        if not found:
            with self._locked(purpose):
                found = self._read(purpose)
                if not found:
                    found = (_new_key(),)
                    self._write(purpose, found)
        self._keys[purpose] = found
        self._stamps[purpose] = stamp
        self._read_at[purpose] = time.monotonic()

    def _held(self, purpose: Purpose, key_id: str) -> Key | None:
        return next((key for key in self._keys.get(purpose, ()) if key.id == key_id), None)

    def _stamp(self, purpose: Purpose) -> tuple[int, int] | None:
        """Return what tells one state of the file from another: each is a file of its own, renamed into place."""
        try:
            status = self._path(purpose).stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _path(self, purpose: Purpose) -> Path:
        return self._dir / f"{purpose}.json"

    def _read(self, purpose: Purpose) -> tuple[Key, ...]:
        path = self._path(purpose)
        try:
            return msgspec.json.decode(path.read_bytes(), type=_KeyFile).keys
        except FileNotFoundError:
            return ()
        except msgspec.DecodeError as error:
            raise KeyFileBroken(
                f"The key file {path} cannot be read ({error}); restore it from a backup or delete it to sign everybody out."
            ) from error

    def _write(self, purpose: Purpose, keys: tuple[Key, ...]) -> None:
        path = self._path(purpose)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_KeyFile(keys)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @contextmanager
    def _locked(self, purpose: Purpose) -> Iterator[None]:
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._dir / f".{purpose}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _new_key() -> Key:
    return Key(id=base64.b32encode(secrets.token_bytes(5)).decode().lower(), secret=secrets.token_bytes(32))
