"""Whose turn it is, who holds a job, and what becomes of jobs whose workers die."""

import pytest

from kinema.core import spans as tracing
from kinema.core.errors import Conflict, Gone, NotFound
from kinema.core.spans import SpanContext
from kinema.services.encoding.job_rows import LeaseLost, queue_job
from kinema.services.encoding.jobs import LEASE_SECONDS, Report, Wishes

REPORT = Report("encoding", 0.5, 10.0, (), 3.0)


async def queue(room, title="Film"):
    async with room.sql.transaction() as connection:
        return await queue_job(connection, "upl_x", "ttl_x", title, room.clock)


async def test_one_job_one_worker_in_order_of_arrival(opened):
    room, _ = opened
    first, second = await queue(room), await queue(room)
    assert (await room.jobs.claim("a")).job_id == first
    assert (await room.jobs.claim("b")).job_id == second
    assert await room.jobs.claim("c") is None


async def test_films_that_cannot_be_played_yet_go_first(opened):
    room, _ = opened
    first = await queue(room)
    await room.jobs.claim("a")
    second = await queue(room)
    assert not await room.jobs.others_wait(first)
    await room.jobs.step_finished(first, "a", playable=True)
    assert await room.jobs.others_wait(first)
    await room.jobs.give_back(first, "a", "waiting")
    assert (await room.jobs.claim("a")).job_id == second
    assert (await room.jobs.claim("b")).job_id == first


async def test_a_silent_worker_loses_its_job_and_is_told(opened):
    room, _ = opened
    job = await queue(room)
    await room.jobs.claim("a")
    assert await room.jobs.beat(job, "a", REPORT) == Wishes(
        cancel=False, pause=False, most_cpu_seconds=None, others_wait=False
    )
    assert await room.jobs.claim("b") is None
    room.clock.shift += LEASE_SECONDS + 0.1
    assert (await room.jobs.claim("b")).job_id == job
    for call in (
        room.jobs.beat(job, "a", REPORT),
        room.jobs.step_finished(job, "a"),
        room.jobs.end(job, "a", "done"),
        room.jobs.give_back(job, "a", "x"),
    ):
        with pytest.raises(LeaseLost):
            await call
    shown = await room.jobs.get(job)
    assert (shown.state, shown.progress, shown.seconds, shown.eta_seconds) == ("running", 0.5, 3.0, 10.0)


async def test_a_job_that_kills_its_workers_fails_after_three(opened):
    room, _ = opened
    job = await queue(room)
    for worker in ("a", "b", "c"):
        assert (await room.jobs.claim(worker)).job_id == job
        room.clock.shift += LEASE_SECONDS + 0.1
    assert await room.jobs.claim("d") is None
    shown = await room.jobs.get(job)
    assert shown.state == "failed"
    assert "stopped 3 times" in shown.error


async def test_progress_between_crashes_is_no_poison(opened):
    room, _ = opened
    job = await queue(room)
    for worker in "abcdefgh":
        assert (await room.jobs.claim(worker)).job_id == job
        await room.jobs.step_finished(job, worker)
        room.clock.shift += LEASE_SECONDS + 0.1


async def test_cancelling_and_retrying(opened):
    room, client = opened
    job = await queue(room)
    assert (await client.delete(f"/v1/jobs/{job}")).json()["state"] == "cancelled"
    assert (await client.delete(f"/v1/jobs/{job}")).status_code == 409
    answer = await client.post(f"/v1/jobs/{job}/retry")
    assert answer.status_code == 410
    assert "upload the file again" in answer.json()["detail"]

    running = await queue(room)
    await room.jobs.claim("a")
    assert (await room.jobs.cancel(running)).state == "running"
    assert (await room.jobs.beat(running, "a", REPORT)).cancel
    with pytest.raises(Conflict):
        await room.jobs.retry(running, room.blobs)
    # Its worker dies before it stops: nobody takes it up again.
    room.clock.shift += LEASE_SECONDS + 0.1
    assert await room.jobs.claim("b") is None
    assert (await room.jobs.get(running)).state == "cancelled"
    with pytest.raises(Gone):
        await room.jobs.retry(running, room.blobs)
    with pytest.raises(NotFound):
        await room.jobs.get("job_none")


async def test_the_list_has_pages_states_and_a_tag_that_changes_with_every_job(opened):
    room, client = opened
    made = [await queue(room, f"Film {number}") for number in range(5)]
    first = await client.get("/v1/jobs?limit=2")
    assert [job["id"] for job in first.json()["jobs"]] == made[:2:-1]
    rest = await client.get("/v1/jobs", params={"limit": "10", "cursor": first.json()["next_cursor"]})
    assert [job["id"] for job in rest.json()["jobs"]] == made[2::-1]
    assert rest.json()["next_cursor"] is None
    assert (await client.get("/v1/jobs?cursor=forged")).status_code == 400

    tag = {"If-None-Match": first.headers["etag"]}
    assert (await client.get("/v1/jobs?limit=2", headers=tag)).status_code == 304
    await room.jobs.claim("a")
    assert (await client.get("/v1/jobs?limit=2", headers=tag)).status_code == 200
    assert [job["id"] for job in (await client.get("/v1/jobs?state=running")).json()["jobs"]] == made[:1]
    assert (await client.get("/v1/jobs?state=strange")).status_code == 400
    assert (await client.get(f"/v1/jobs/{made[0]}")).json()["state"] == "running"


async def test_jobs_are_for_operators(opened):
    from tests.support.services import as_

    room, client = opened
    for method, path in (("GET", "/v1/jobs"), ("POST", "/v1/gc"), ("DELETE", "/v1/jobs/job_x")):
        answer = await client.request(method, path, headers=as_("viewer", room.keys, room.clock))
        assert answer.status_code == 403


async def test_a_job_carries_the_trace_of_the_request_that_queued_it(opened):
    room, _ = opened
    token = tracing.current.set(SpanContext("1" * 32, "2" * 16, "encoding", "encoding-1"))
    try:
        await queue(room)
    finally:
        tracing.current.reset(token)
    await queue(room)
    assert (await room.jobs.claim("a")).trace == f"00-{'1' * 32}-{'2' * 16}-01"
    assert (await room.jobs.claim("a")).trace is None


async def test_a_premiere_goes_first_and_the_background_last_even_before_films_that_play(opened):
    room, client = opened
    ordinary = await queue(room)
    await room.jobs.claim("a")
    await room.jobs.step_finished(ordinary, "a", playable=True)
    background, premiere = await queue(room), await queue(room)
    for job, priority in ((background, "background"), (premiere, "premiere")):
        answer = await client.patch(f"/v1/jobs/{job}", json={"priority": priority})
        assert (answer.status_code, answer.json()["priority"]) == (200, priority)
    assert await room.jobs.others_wait(ordinary)
    assert (await room.jobs.claim("b")).job_id == premiere
    assert not await room.jobs.others_wait(ordinary)
    await room.jobs.step_finished(premiere, "b", playable=True)
    await queue(room)
    assert not await room.jobs.others_wait(premiere)
    await room.jobs.give_back(ordinary, "a", "waiting")
    assert [(await room.jobs.claim(worker)).job_id for worker in "cd"][1] == ordinary
    assert (await room.jobs.claim("e")).job_id == background


async def test_a_queued_job_that_is_paused_waits_until_it_is_let_go_on(opened):
    room, client = opened
    job = await queue(room)
    assert (await client.patch(f"/v1/jobs/{job}", json={"paused": True})).json()["state"] == "paused"
    assert await room.jobs.claim("a") is None
    assert (await client.post(f"/v1/jobs/{job}/retry")).status_code == 409
    assert (await client.patch(f"/v1/jobs/{job}", json={"paused": False})).json()["state"] == "queued"
    assert (await room.jobs.claim("a")).job_id == job


async def test_a_running_job_hears_of_a_pause_and_one_whose_worker_dies_is_paused_all_the_same(opened):
    room, client = opened
    heard, unheard = await queue(room), await queue(room)
    await room.jobs.claim("a")
    await room.jobs.claim("b")
    for job in (heard, unheard):
        assert (await client.patch(f"/v1/jobs/{job}", json={"paused": True})).json()["state"] == "running"
    assert (await room.jobs.beat(heard, "a", REPORT)).pause
    await room.jobs.pause(heard, "a", "It used too much.")
    assert ((await room.jobs.get(heard)).state, (await room.jobs.get(heard)).error) == ("paused", "It used too much.")
    room.clock.shift += LEASE_SECONDS + 0.1
    assert await room.jobs.claim("c") is None
    assert (await room.jobs.get(unheard)).state == "paused"
    # Let go on, it is not paused once more by the same wish; and a paused one can be cancelled.
    assert (await client.patch(f"/v1/jobs/{unheard}", json={"paused": False})).json()["state"] == "queued"
    assert (await room.jobs.claim("c")).job_id == unheard
    assert (await client.delete(f"/v1/jobs/{heard}")).json()["state"] == "cancelled"
    assert (await client.patch(f"/v1/jobs/{heard}", json={"paused": False})).status_code == 409


async def test_changes_that_cannot_be_are_refused_in_words(opened):
    room, client = opened
    job = await queue(room)
    for wrong in (
        {"priority": "urgent"},
        {"most_cpu_seconds": 0},
        {"paused": "perhaps"},
        {"most_cpu_seconds": "1e400"},
    ):
        answer = await client.patch(f"/v1/jobs/{job}", json=wrong)
        assert answer.status_code == 400, answer.text
    shown = (await client.patch(f"/v1/jobs/{job}", json={"most_cpu_seconds": 12.5})).json()
    assert shown["most_cpu_seconds"] == 12.5
    assert (await client.patch(f"/v1/jobs/{job}", json={"most_cpu_seconds": None})).json()["most_cpu_seconds"] is None
    assert (await client.patch("/v1/jobs/job_00000000000000000000000000", json={})).status_code == 404
