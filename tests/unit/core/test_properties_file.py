import json
import logging
import os

import pytest

from kinema.core import log
from kinema.core.log_level import LOG_LEVEL, follow_log_level
from kinema.core.properties import Properties, Property, between
from kinema.core.property_file import PropertyFile, PropertyFileBroken, read
from kinema.core.property_scope import Override

COUNT = Property("test.count", 5, "How many.", between(0, 100))
DEEP = Property("test.deep.name", "none", "A name further down.")


@pytest.fixture
def followed(tmp_path):
    properties = Properties()
    file = PropertyFile(tmp_path, properties)
    return tmp_path / "properties.toml", file, properties


def test_the_file_is_followed_from_its_making_to_its_end(followed):
    path, file, properties = followed
    heard = []
    properties.watch(COUNT, heard.append)
    for text in ("[test]\ncount = 6\n", '"test.count" = 7\n', "test.count = 8\ntest.deep.name = 'x'\n"):
        path.write_text(text)
        file.follow()
    assert properties[DEEP] == "x"
    path.unlink()
    file.follow()
    assert (heard, properties[DEEP]) == ([5, 6, 7, 8, 5], "none")


def test_a_file_that_is_put_in_place_by_renaming_is_seen(followed):
    path, file, properties = followed
    path.write_text("[test]\ncount = 6\n")
    file.follow()
    other = path.with_suffix(".new")
    other.write_text("[test]\ncount = 7\n")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    file.follow()
    assert properties[COUNT] == 7


@pytest.mark.parametrize(
    "broken",
    [
        b"[test\ncount = 7",
        b"\xff\xfe",
        b"test.count = 7\ntest.count = 8\n",
        b"# " + b"x" * (1 << 20),
        b"a=" + b"[" * 9999,
    ],
)
def test_a_broken_file_leaves_the_old_values_and_is_reported_once(followed, capsys, broken):
    path, file, properties = followed
    log.configure(json=True)
    path.write_text("[test]\ncount = 6\n")
    file.follow()
    path.write_bytes(broken)
    for _ in range(3):
        file.follow()
    assert properties[COUNT] == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["error"].startswith(str(path))
    path.write_text("[test]\ncount = 9\n")
    file.follow()
    assert properties[COUNT] == 9


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "properties.toml").mkdir()
    with pytest.raises(PropertyFileBroken, match=r"properties\.toml"):
        read(tmp_path / "properties.toml")


def test_one_wrong_value_does_not_take_the_rest_of_the_file_along(followed):
    path, file, properties = followed
    path.write_text("[test]\ncount = 700\ndeep.name = 'taken'\n")
    file.follow()
    assert (properties[COUNT], properties[DEEP]) == (5, "taken")


@pytest.fixture
def levels():
    """Leave the loggers as they were."""
    loggers = [logging.getLogger(), logging.getLogger("kinema")]
    before = [one.level for one in loggers]
    yield
    for one, level in zip(loggers, before, strict=True):
        one.setLevel(level)


def test_the_log_level_changes_while_everything_runs(levels, capsys):
    log.configure(json=True)
    logger = log.get_logger("kinema.test")
    properties = Properties()
    follow_log_level(properties)
    for level in ("info", "debug", "warning", "error"):
        properties.replace_overrides([Override(LOG_LEVEL.name, level)])
        logger.debug("debug", at=level)
        logger.info("info", at=level)
        logger.warning("warning", at=level)
        logging.getLogger("library").debug("deep in a library")
        logging.getLogger("library").info("library")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("at")) for line in said] == [
        ("info", "info"),
        ("warning", "info"),
        ("library", None),
        ("debug", "debug"),
        ("info", "debug"),
        ("warning", "debug"),
        ("library", None),
        ("warning", "warning"),
    ]
