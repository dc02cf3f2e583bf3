"""What a film has besides pictures and sound: sheets of small pictures for seeking, subtitles, chapters. Each made once (`ledger`)."""

import asyncio
from pathlib import Path

from kinema.model.encoding import Chapter, Track
from kinema.services.encoding.inspection import Facts, TextFacts
from kinema.services.encoding.ledger import Ledger, Step
from kinema.services.encoding.packaging.texts import cut_text, text_names
from kinema.services.encoding.packaging.thumbnails import cut_sheets, grid_for
from kinema.services.encoding.tools import Tools
from kinema.storage.content import content_key, fetch, store
from kinema.storage.ports import Blobs

_REVISION = 1  # raise when the meaning of a step changes with the same parameters

Made = tuple[tuple[Track, Path], ...]


class Extras:
    """Makes them for one film. `digest` is that of its source; `scratch` a directory of this worker's own."""

    def __init__(self, source: Path, digest: str, ledger: Ledger, blobs: Blobs, tools: Tools, scratch: Path) -> None:
        self._source = source
        self._digest = digest
        self._ledger = ledger
        self._blobs = blobs
        self._tools = tools
        self._scratch = scratch

    async def thumbnails(self, facts: Facts, rung: Track) -> tuple[Track, ...]:
        """Return the sheets of small pictures, cut from a rung that is not encrypted; the lowest one is the cheapest."""
        grid = grid_for(facts.duration_seconds, rung.width, rung.height)

        async def make() -> tuple[Track, ...]:
            path = self._scratch / f"media-{rung.digest}"
            file = await fetch(self._blobs, content_key("media", rung.digest), path)
            return await self._keep(await cut_sheets(self._tools, file, grid, facts.duration_seconds, self._scratch))

        parameters = (rung.digest, grid, facts.duration_seconds)
        return await self._ledger.once(self._step("thumbnails", parameters), tuple[Track, ...], make, _needs)

    async def texts(self, facts: Facts) -> tuple[Track, ...]:
        """Return the subtitles, two tracks for each that is text."""
        tracks: list[Track] = []
        for text, name in text_names(facts):
            tracks += await self._text(facts, text, name)
        return tuple(tracks)

    async def _text(self, facts: Facts, text: TextFacts, name: str) -> tuple[Track, ...]:
        async def make() -> tuple[Track, ...]:
            return await self._keep(await cut_text(self._tools, self._source, facts, text, name, self._scratch))

        return await self._ledger.once(self._step("text", (facts, text, name)), tuple[Track, ...], make, _needs)

    async def _keep(self, made: Made) -> tuple[Track, ...]:
        try:
            for _, path in made:
                await store(self._blobs, "media", path)
        finally:
            for _, path in made:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        return tuple(track for track, _ in made)

    def _step(self, name: str, parameters: object) -> Step:
        return Step(name=name, source=self._digest, parameters=(_REVISION, parameters), tools=self._tools.versions)


def chapters_of(facts: Facts) -> tuple[Chapter, ...]:
    """Return the film's chapters; one without a title is called by its number."""
    return tuple(
        Chapter(chapter.start_seconds, chapter.end_seconds, chapter.title or f"Chapter {number}")
        for number, chapter in enumerate(facts.chapters, start=1)
    )


def _needs(tracks: tuple[Track, ...]) -> tuple[str, ...]:
    return tuple(content_key("media", track.digest) for track in tracks)
