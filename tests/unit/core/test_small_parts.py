"""Clock, ids, problems and settings."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core import problem, settings
from kinema.core.clock import ManualClock
from kinema.core.errors import BadInput, KinemaError, NotFound, PreconditionFailed, error_types
from kinema.core.ids import check_id, new_id


async def test_a_manual_clock_wakes_sleepers_in_order():
    clock = ManualClock(start=0.0)
    woken = []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (3.0, 1.0, 2.0):
            group.create_task(sleeper(seconds))
        await asyncio.sleep(0)
        clock.advance(2.0)
        await asyncio.sleep(0)
        assert woken == [1.0, 2.0]
        clock.advance(1.0)
    assert woken == [1.0, 2.0, 3.0]


def test_ids_sort_by_time():
    clock = ManualClock()
    first = new_id("ttl", clock)
    clock.advance(0.001)
    assert first < new_id("ttl", clock)
    assert check_id(first, "ttl") == first


@pytest.mark.parametrize(
    "text", ["", "ttl_", "ttl_../../etc/passwd", "ast_00000000000000000000000000", "ttl_" + "A" * 26]
)
def test_what_is_not_an_id_is_refused(text):
    with pytest.raises(BadInput):
        check_id(text, "ttl")


@pytest.mark.parametrize("kind", error_types())
def test_every_error_crosses_the_wire(kind):
    document = problem.problem_of(kind("There is no film 7; look again."))
    back = problem.error_of(document.status, problem.encode(document))
    assert (type(back), back.detail) == (kind, "There is no film 7; look again.")


@given(st.integers(400, 599), st.binary(max_size=80))
def test_a_reply_that_is_no_problem_is_still_an_error(status, body):
    assert isinstance(problem.error_of(status, body), KinemaError)


def test_the_status_decides_without_a_problem():
    assert type(problem.error_of(404, b"<html>")) is NotFound
    assert type(problem.error_of(412, b"")) is PreconditionFailed


def test_settings_come_from_the_file_and_the_environment_wins(tmp_path):
    (tmp_path / "kinema.toml").write_text('region = "north"\nmedia_token_seconds = 60\n')
    loaded = settings.load(tmp_path, {"KINEMA_MEDIA_TOKEN_SECONDS": "120", "KINEMA_LOG_JSON": "true"})
    assert (loaded.region, loaded.media_token_seconds, loaded.log_json) == ("north", 120, True)


@pytest.mark.parametrize("text", ["colour = 1", "media_token_seconds = 'soon'", "[", "\xff"])
def test_settings_that_cannot_be_used_are_named(tmp_path, text):
    (tmp_path / "kinema.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(settings.SettingsBroken, match=r"kinema\.toml"):
        settings.load(tmp_path, {})
