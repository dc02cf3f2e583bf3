"""Pictures as ffmpeg sees them."""

import subprocess

from kinema.services.encoding.tools import find_tools


def sums(arguments):
    """Return a digest of each picture that these inputs and filters give."""
    command = [find_tools().ffmpeg, "-v", "error", "-nostdin", *arguments, "-f", "framemd5", "-"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.rsplit(",", 1)[1].strip() for line in said.splitlines() if not line.startswith("#")]
