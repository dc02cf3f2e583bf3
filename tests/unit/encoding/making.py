"""A film on its way through the pipeline under test, and what ffmpeg says of what comes out."""

import re
import subprocess
from fractions import Fraction

from kinema.services.encoding.ladder import rungs_for
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.pipeline import Pipeline
from kinema.services.encoding.sound.renditions import STEREO_AAC
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import content_key, digest_of_file


class Making:
    """A film's pipeline, and the files of its tracks."""

    def __init__(self, room, film, digest):
        self.room = room
        room.directory.joinpath("work").mkdir(exist_ok=True)
        ledger = Ledger(room.sql, room.blobs, room.clock)
        self.pipeline = Pipeline(film, digest, ledger, room.blobs, find_tools(), room.directory / "work", 1)

    async def rungs(self, count=99):
        self.facts = await self.pipeline.facts()
        rungs = rungs_for(self.facts.width, self.facts.height, Fraction(self.facts.frame_rate))[:count]
        return [await self.pipeline.rung(self.facts, rung, lambda share: None) for rung in rungs]

    async def sounds(self):
        return [await self.pipeline.sound(self.facts, audio, STEREO_AAC, "sound") for audio in self.facts.audio]

    def file(self, track):
        return self.room.blobs.local_path(content_key("media", track.digest))


async def making(opened, film):
    return Making(opened[0], film, await digest_of_file(film))


def said(*arguments):
    """Return what ffmpeg says at its usual level."""
    command = [find_tools().ffmpeg, "-hide_banner", "-nostdin", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def times_of(pattern, text):
    return [float(time) for time in re.findall(pattern, text)]
