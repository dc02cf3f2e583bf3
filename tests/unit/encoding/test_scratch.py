"""Scratch directories of workers that live, of one that was killed, and of one with a name that is taken."""

import subprocess
import sys

import pytest

from kinema.core.errors import Unavailable
from kinema.services.encoding.scratch import Scratch

HOLD = """
import sys
from pathlib import Path
from kinema.services.encoding.scratch import Scratch
held = Scratch(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_directory_of_a_killed_worker_is_swept_and_that_of_a_living_one_is_not(tmp_path):
    theirs = tmp_path / "worker-7"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(theirs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        (theirs / "film").write_bytes(b"x")
        Scratch(tmp_path / "worker-8").release()
        assert (theirs / "film").exists()
        with pytest.raises(Unavailable, match="another name"):
            Scratch(theirs)
    finally:
        other.kill()
        other.communicate()
    mine = Scratch(tmp_path / "worker-9")
    assert [each.name for each in tmp_path.iterdir()] == ["worker-9"]
    mine.release()
    assert list(tmp_path.iterdir()) == []


def test_it_is_empty_at_first_and_when_it_was_emptied(tmp_path):
    own = tmp_path / "worker-1"
    (own / "deep").mkdir(parents=True)
    (own / "deep" / "film").write_bytes(b"x")
    scratch = Scratch(own)
    assert list(own.iterdir()) == []
    (own / "film").write_bytes(b"x")
    scratch.empty()
    assert list(own.iterdir()) == []
    scratch.release()
