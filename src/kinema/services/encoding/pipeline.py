"""From a source file to verified tracks: the steps of encoding, each done once (see `ledger`).

    facts -> for each rung:  encode -> package -> verify
          -> for each sound: measure -> encode -> package -> verify
          -> poster

Encoded files wait under `steps/`, packaged tracks lie under `media/` and pictures under `artwork/`, all named by digest.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.core.errors import StorageFull
from kinema.core.ids import new_id
from kinema.model.encoding import Track
from kinema.services.encoding import commands
from kinema.services.encoding.inspection import AudioFacts, Facts, Unusable, inspect
from kinema.services.encoding.ladder import Rung, gop_frames
from kinema.services.encoding.ledger import Ledger, Step
from kinema.services.encoding.packaging.command import StreamKind, package
from kinema.services.encoding.packaging.tracks import Rendition, audio_track, video_track, with_quality
from kinema.services.encoding.poster import cut_poster
from kinema.services.encoding.sound.loudness import FILM, Loudness, LoudnessTarget, gain_db
from kinema.services.encoding.sound.renditions import SoundRendition, renditions, track_name
from kinema.services.encoding.sound.work import encode_sound, measure_sound
from kinema.services.encoding.tools import DISK_FULL, ToolFailed, Tools, run
from kinema.services.encoding.verification import equal_gops, frame_counter, verify_audio, verify_video
from kinema.services.encoding.verification.content import Stretch, verify_content
from kinema.storage.content import content_key, fetch, store
from kinema.storage.ports import Blobs

_ENCODE_SECONDS = 7 * 24 * 3600.0
_PACKAGE_SECONDS = 3600.0
_FULL_BELOW = 1 << 20  # bytes left on a disk that counts as full
_LEAST_SHARE = 0.9  # of the film's duration that must be decodable
_REVISION = 2  # raise when the meaning of a step changes with the same parameters

Progress = Callable[[float], None]
"""Takes the share (0 to 1) of a step that is done."""


class Encoded(msgspec.Struct, frozen=True):
    """An encoded elementary stream: the digest of its file under `steps/`, and its pictures (0 for sound)."""

    digest: str
    frames: int


class Pipeline:
    """The steps for one source. `scratch` is a directory of this worker's own; `threads` 0 lets x264 choose."""

    def __init__(
        self, source: Path, digest: str, ledger: Ledger, blobs: Blobs, tools: Tools, scratch: Path, threads: int
    ) -> None:
        self._source = source
        self._digest = digest
        self._ledger = ledger
        self._blobs = blobs
        self._tools = tools
        self._scratch = scratch
        self._threads = threads

    async def facts(self) -> Facts:
        """Return what the source is. Raises Unusable with a sentence when it cannot be encoded."""
        return await self._ledger.once(self._step("facts", ()), Facts, lambda: inspect(self._source, self._tools))

    async def rung(self, facts: Facts, rung: Rung, progress: Progress) -> Track:
        """Return a rung's track, verified. Raises Unusable when the source's pictures cannot be decoded."""
        parameters = (rung, facts, self._threads)

        async def describe(path: Path) -> Track:
            return await video_track(path, rung, facts.frame_rate)

        async def make() -> Track:
            encoded = await self._ledger.once(
                self._step("encode-video", parameters),
                Encoded,
                lambda: self._encode_video(facts, rung, progress),
                _encoded,
            )
            track = await self._package(encoded, "video", rung.name, describe)
            gops = equal_gops(encoded.frames, gop_frames(Fraction(facts.frame_rate)))
            await verify_video(await self._file("media", track.digest), track, gops, self._tools)
            return track

        return await self._ledger.once(self._step("rung", parameters), Track, make, _packaged)

    async def packaged(
        self, encoded: str, rung: Rendition, frame_rate: str, gops: tuple[int, ...], scores: tuple[float, ...] = ()
    ) -> Track:
        """Return the track of a rung that was encoded (its digest among the steps), packaged and verified.

        `gops` are the pictures of each GOP, `scores` their mean VMAFs. Raises NotVerified when the rung is not fit to be seen.
        """

        async def describe(path: Path) -> Track:
            return await video_track(path, rung, frame_rate)

        async def make() -> Track:
            track = await self._package(Encoded(encoded, sum(gops)), "video", rung.name, describe)
            await verify_video(await self._file("media", track.digest), track, gops, self._tools)
            return with_quality(track, scores) if scores else track

        step = self._step("packaged", (encoded, rung.name, gops, scores))
        return await self._ledger.once(step, Track, make, _packaged)

    async def sound(
        self, facts: Facts, audio: AudioFacts, rendition: SoundRendition, name: str, target: LoudnessTarget = FILM
    ) -> Track:
        """Return a sound's track, brought to its loudness and verified. Raises Unusable when it cannot be decoded."""
        parameters = (name, audio, facts, rendition, target)

        async def describe(path: Path) -> Track:
            return await audio_track(path, audio, name)

        async def make() -> Track:
            loudness = await self._loudness(facts, audio)
            encoded = await self._ledger.once(
                self._step("encode-audio", parameters),
                Encoded,
                lambda: self._encode_audio(facts, audio, rendition, gain_db(loudness, target)),
                _encoded,
            )
            track = await self._package(encoded, "audio", name, describe)
            await verify_audio(await self._file("media", track.digest), track, facts.duration_seconds, self._tools)
            return track

        return await self._ledger.once(self._step("sound", parameters), Track, make, _packaged)

    async def content(self, facts: Facts, rung: Track, sounds: tuple[Track, ...]) -> tuple[Stretch, ...]:
        """Look through a rung and the sounds, clear, beside the source. Raises NotVerified when they show or sound like nothing."""
        heard = {
            index: track for index, track in zip(_stream_indices(facts, sounds), sounds, strict=True) if index >= 0
        }

        async def look() -> tuple[Stretch, ...]:
            files = [(index, await self._file("media", track.digest)) for index, track in heard.items()]
            shown = await self._file("media", rung.digest)
            return await verify_content(self._tools, self._source, facts, shown, files)

        parameters = (facts, rung.digest, [track.digest for track in heard.values()])
        return await self._ledger.once(self._step("content", parameters), tuple[Stretch, ...], look)

    async def poster(self, facts: Facts) -> str:
        """Return the digest of a picture from the film, stored as artwork; empty when none could be cut."""

        async def cut() -> str:
            picture = self._fresh("jpg")
            try:
                found = await cut_poster(self._tools, self._source, facts, picture)
                return await store(self._blobs, "artwork", picture) if found else ""
            finally:
                picture.unlink(missing_ok=True)

        def needs(digest: str) -> tuple[str, ...]:
            return (content_key("artwork", digest),) if digest else ()

        return await self._ledger.once(self._step("poster", ()), str, cut, needs)

    def _step(self, name: str, parameters: object) -> Step:
        return Step(name=name, source=self._digest, parameters=(_REVISION, parameters), tools=self._tools.versions)

    def _fresh(self, suffix: str) -> Path:
        return self._scratch / f"{new_id('tmp')}.{suffix}"

    async def _encode_video(self, facts: Facts, rung: Rung, progress: Progress) -> Encoded:
        expected = max(1, round(facts.duration_seconds * Fraction(facts.frame_rate)))
        frames = 0

        def take(number: int) -> None:
            nonlocal frames
            frames = number
            progress(min(1.0, number / expected))

        output = self._fresh("mp4")
        command = commands.encode_video(self._tools, self._source, facts, rung, self._threads, output)
        try:
            try:
                await run(command, _ENCODE_SECONDS, frame_counter(take), keep_output=False)
            except ToolFailed as error:
                if frames == 0:
                    raise Unusable(
                        "None of the film's pictures can be decoded; convert it to MP4 with H.264."
                    ) from error
                raise
            if frames < expected * _LEAST_SHARE - 2:
                seconds = frames / Fraction(facts.frame_rate)
                raise Unusable(
                    f"Only {float(seconds):.1f} s of the film's {facts.duration_seconds:.1f} s can be decoded; "
                    "the file is damaged or cut short, send the whole file again."
                )
            return Encoded(await store(self._blobs, "steps", output), frames)
        finally:
            output.unlink(missing_ok=True)

    async def _loudness(self, facts: Facts, audio: AudioFacts) -> Loudness:
        return await self._ledger.once(
            self._step("measure-audio", (audio, facts)),
            Loudness,
            lambda: measure_sound(self._tools, self._source, facts, audio),
        )

    async def _encode_audio(self, facts: Facts, audio: AudioFacts, rendition: SoundRendition, gain: float) -> Encoded:
        output = self._fresh("mp4")
        try:
            await encode_sound(self._tools, self._source, facts, audio, rendition, gain, output)
            return Encoded(await store(self._blobs, "steps", output), 0)
        finally:
            output.unlink(missing_ok=True)

    async def _package(
        self, encoded: Encoded, kind: StreamKind, name: str, describe: Callable[[Path], Awaitable[Track]]
    ) -> Track:
        async def make() -> Track:
            source = await self._file("steps", encoded.digest)
            output = self._fresh("mp4")
            try:
                await run(package(self._tools, source, kind, output, self._scratch), _PACKAGE_SECONDS)
                track = await describe(output)
                await store(self._blobs, "media", output)
            except ToolFailed as error:
                if (await asyncio.to_thread(shutil.disk_usage, self._scratch)).free < _FULL_BELOW:
                    raise StorageFull(DISK_FULL) from error
                raise
            else:
                return track
            finally:
                output.unlink(missing_ok=True)

        step = self._step("package", (encoded.digest, kind, name))
        return await self._ledger.once(step, Track, make, _packaged)

    async def _file(self, prefix: str, digest: str) -> Path:
        return await fetch(self._blobs, content_key(prefix, digest), self._scratch / f"{prefix}-{digest}")


def _stream_indices(facts: Facts, sounds: tuple[Track, ...]) -> tuple[int, ...]:
    """Return the source's stream of each sound track that is the first rendition of one; of others -1."""
    named: dict[str, int] = {}
    languages: list[str] = []
    for audio in facts.audio:
        named[track_name(audio, renditions(audio)[0], languages.count(audio.language))] = audio.index
        languages.append(audio.language)
    return tuple(named.get(track.name, -1) for track in sounds)


def _encoded(encoded: Encoded) -> tuple[str, ...]:
    return (content_key("steps", encoded.digest),)


def _packaged(track: Track) -> tuple[str, ...]:
    return (content_key("media", track.digest),)
