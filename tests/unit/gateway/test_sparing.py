"""Log lines that say the same: one a second, and the count of the others."""

from kinema.core.clock import ManualClock
from kinema.services.gateway.sparing import Sparing
from tests.support.fabric import bearer, fabric


def test_one_line_a_second_for_each_reason_says_how_many_were_left_out():
    clock = ManualClock()
    warnings = Sparing(clock)
    assert warnings.left_out("a") == 0
    assert [warnings.left_out("a") for _ in range(3)] == [None] * 3
    assert warnings.left_out("b") == 0
    clock.advance(0.9)
    assert warnings.left_out("a") is None
    clock.advance(0.1)
    assert warnings.left_out("a") == 4
    clock.advance(5)
    assert warnings.left_out("a") == 0


async def test_an_outage_does_not_flood_the_log(tmp_path, monkeypatch):
    written = []
    async with fabric(tmp_path, members=True, gateway=True) as region:
        monkeypatch.setattr("kinema.services.gateway.passage._log.warning", lambda *_, **facts: written.append(facts))
        monkeypatch.setattr(region.gateway.ledger.warnings, "_clock", ManualClock())
        token = bearer(await region.token())
        for path in ("/v1/jobs", "/v1/home") * 5:
            assert (await region.get(path, token)).status == 503
    assert [facts["path"] for facts in written] == ["/v1/jobs", "/v1/home"]
