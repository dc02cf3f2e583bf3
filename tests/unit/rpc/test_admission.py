"""What a service does before it works: refuse by class, keep to the deadline, say how busy it is."""

import asyncio
from random import Random

import httpx
import pytest
from litestar import get

from kinema.core import priority
from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.core.priority import Priority
from kinema.resilience.shedding import Shedder
from kinema.rpc.service import create_app
from kinema.rpc.serving import serving
from tests.support.services import running


@pytest.fixture
def app(tmp_path):
    @get("/x", opt={"public": True})
    async def x() -> dict[str, str]:
        request = serving()
        return {"class": priority.current.get().name, "retries": str(request.retries)}

    @get("/slow", opt={"public": True})
    async def slow() -> None:
        await asyncio.sleep(30)

    return create_app(service="s", instance="s-1", keys=KeyRing(tmp_path), clock=SystemClock(), routes=[x, slow])


def asks(name="", retries=""):
    deadline = {"x-kinema-deadline": f"5000{retries}"}
    return deadline | ({"x-kinema-priority": name} if name else {})


async def test_the_class_is_that_of_the_header_else_degraded(app):
    async with running(app) as client:
        names = ["", "critical", "bulk", "nonsense"]
        found = [(await client.get("/x", headers=asks(name))).json()["class"] for name in names]
        assert found == ["DEGRADED", "CRITICAL", "BULK", "DEGRADED"]
        assert (await client.get("/x", headers=asks("", ";retries=1"))).json()["retries"] == "1"


class Half(Random):
    """Draws 0.5 each time: a class is refused when more than half of it is."""

    def random(self):
        return 0.5


async def test_under_pressure_the_classes_are_refused_one_after_the_other(app):
    async with running(app) as client:
        shedder = app.state.shedder
        shedder._shedder = Shedder(Half())
        taken = {}
        for load in (0, 150, 185, 225, 310):
            shedder.in_flight = load  # of 200
            answers = [await client.get("/x", headers=asks(one.name.lower())) for one in Priority]
            taken[load] = [answer.status_code for answer in answers]
        assert taken == {
            0: [200, 200, 200, 200],
            150: [200, 200, 200, 503],
            185: [200, 200, 503, 503],
            225: [200, 503, 503, 503],
            310: [503, 503, 503, 503],
        }
        refused = answers[0]
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["x-kinema-shed"] == "1"
        assert 1 <= int(refused.headers["retry-after"]) <= 5
        assert refused.json()["status"] == 503
        assert refused.headers["x-kinema-utilisation"] == "1.00"
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/x")).status_code == 200  # without a deadline: it may take as long as it likes
        shedder.in_flight = 0
        snapshot = shedder.snapshot()
        assert snapshot.shed == {"critical": 1, "degraded": 2, "best_effort": 3, "bulk": 4}
        assert snapshot.limit == 200


async def test_what_was_admitted_is_counted_until_it_is_over(app):
    async with running(app) as client:
        assert (await client.get("/slow", headers={"x-kinema-deadline": "50"})).status_code == 504
        assert app.state.shedder.in_flight == 0
        answer = await client.get("/x", headers=asks())
        assert 0.0 <= float(answer.headers["x-kinema-utilisation"]) <= 1.0
        assert app.state.shedder.in_flight == 0


@pytest.mark.parametrize("value", ["", "x", "-1", "1e9", "99999999999", "5000;retries=", "5000;retries=-1", "1;2"])
async def test_a_deadline_that_is_none_is_refused_in_words(app, value):
    async with running(app) as client:
        answer = await client.get("/x", headers={"x-kinema-deadline": value})
        assert answer.status_code == 400
        assert "milliseconds" in answer.json()["detail"]


async def test_a_client_that_leaves_gives_its_place_back(app):
    async with running(app) as client:
        with pytest.raises((httpx.ReadTimeout, asyncio.TimeoutError)):
            await asyncio.wait_for(client.get("/slow", headers=asks()), 0.1)
        assert app.state.shedder.in_flight == 0
