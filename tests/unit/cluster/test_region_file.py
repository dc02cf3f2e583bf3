import os
import subprocess
import sys

import pytest

from kinema.cluster import region_file
from kinema.cluster.region_file import Region
from kinema.core.errors import Conflict, NotFound, StorageFull

REGION = Region(1, "ready", "http://127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2", ("127.0.0.1:3",), ())


def test_what_is_written_is_read_while_the_lock_is_held(tmp_path):
    held = region_file.lock(tmp_path)
    region_file.write(tmp_path, REGION)
    assert region_file.path_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert region_file.read(tmp_path) == REGION
    os.close(held)
    with pytest.raises(NotFound, match="No region runs on"):  # a killed region leaves its file behind
        region_file.read(tmp_path)


def test_a_directory_serves_one_region_at_a_time(tmp_path):
    held = region_file.lock(tmp_path)
    with pytest.raises(Conflict, match=f"Another region runs on {tmp_path}"):
        region_file.lock(tmp_path)
    os.close(held)
    os.close(region_file.lock(tmp_path))


def test_the_lock_ends_with_its_process(tmp_path):
    code = f"from pathlib import Path; from kinema.cluster import region_file; region_file.lock(Path({str(tmp_path)!r})); import os; os._exit(1)"
    subprocess.run([sys.executable, "-c", code], check=False)
    os.close(region_file.lock(tmp_path))


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageFull, match="cannot be used: Not a directory"):
        region_file.lock(tmp_path / "file" / "data")
