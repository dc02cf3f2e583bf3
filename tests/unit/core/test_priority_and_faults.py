"""Classes of requests, and faults that only the region itself can ask for."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core import faults, priority
from kinema.core.errors import BadInput, Forbidden
from kinema.core.faults import Fault, Faults
from kinema.core.keys import KeyRing
from kinema.core.priority import Priority
from kinema.core.signing import sign

NOW = 1_700_000_000.0
SLOW = Fault("rpc/catalog/*", delay=2.0)
DEAD = Fault("rpc/members/*", failure="connect")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return KeyRing(tmp_path_factory.mktemp("keys"))


def test_a_class_is_told_by_its_name_in_lower_case():
    assert [one.header for one in Priority] == [b"critical", b"degraded", b"best_effort", b"bulk"]
    assert [priority.priority_of(one.header) for one in Priority] == list(Priority)
    assert [priority.priority_of(value) for value in (None, b"", b"CRITICAL", b"5")] == [None] * 4


@given(st.sampled_from(Priority), st.none() | st.sampled_from(Priority))
def test_a_sender_can_only_lower_a_class(own, wished):
    assert priority.lowered(own, wished) == max(own, own if wished is None else wished)


def test_what_the_region_sealed_is_found_at_its_points(keys):
    carried = faults.unseal(faults.seal((SLOW, DEAD), keys, NOW), keys, NOW + 59)
    draw = Random(1).random
    assert faults.fault_of(carried, "rpc/catalog/catalog-1/GET/v1/home", draw) == SLOW
    assert faults.fault_of(carried, "rpc/members/members-2/GET/v1/session", draw) == DEAD
    assert faults.fault_of(carried, "rpc/playback/playback-1/GET/v1/plays", draw) is None


def test_a_point_does_nothing_without_a_header(keys):
    assert faults.at("rpc/catalog/catalog-1/GET/v1/home", Random(1).random) is None
    token = faults.current.set(faults.unseal(faults.seal((SLOW,), keys, NOW), keys, NOW))
    try:
        assert faults.at("rpc/catalog/catalog-1/GET/v1/home", Random(1).random) == SLOW
    finally:
        faults.current.reset(token)


def test_a_percentage_of_the_passes_is_hit(keys):
    carried = faults.unseal(faults.seal((Fault("*", status=500, percent=20.0),), keys, NOW), keys, NOW)
    draw = Random(7).random
    hits = sum(faults.fault_of(carried, "rpc/a/a-1/GET/x", draw) is not None for _ in range(10_000))
    assert 1_850 < hits < 2_150


@given(st.text(max_size=120))
def test_no_text_from_outside_is_believed(keys, text):
    with pytest.raises(Forbidden):
        faults.unseal(text, keys, NOW)


def test_neither_another_region_nor_another_purpose_can_seal(keys, tmp_path):
    other = KeyRing(tmp_path)
    content = msgspec.json.encode(Faults((SLOW,), NOW + 60))
    for forged in (faults.seal((SLOW,), other, NOW), sign(content, keys.current("identity"))):
        with pytest.raises(Forbidden):
            faults.unseal(forged, keys, NOW)


def test_a_header_holds_for_its_time_only(keys):
    sealed = faults.seal((SLOW,), keys, NOW, 5.0)
    assert faults.unseal(sealed, keys, NOW + 4.9).faults == (SLOW,)
    with pytest.raises(Forbidden):
        faults.unseal(sealed, keys, NOW + 5.0)
    for_ever = sign(msgspec.json.encode(Faults((SLOW,), NOW + 1e9)), keys.current("fault"))
    with pytest.raises(Forbidden):
        faults.unseal(for_ever, keys, NOW)
    with pytest.raises(BadInput):
        faults.seal((SLOW,), keys, NOW, 601.0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("", delay=1.0),
        Fault("x" * 201, delay=1.0),
        Fault("a\nb", delay=1.0),
        Fault("*"),
        Fault("*", delay=-1.0),
        Fault("*", delay=61.0),
        Fault("*", delay=float("nan")),
        Fault("*", status=200),
        Fault("*", status=503, failure="lost"),
        Fault("*", delay=1.0, percent=0.0),
        Fault("*", delay=1.0, percent=101.0),
    ],
)
def test_what_cannot_be_meant_is_not_sealed(keys, fault):
    with pytest.raises(BadInput):
        faults.seal((fault,), keys, NOW)


def test_a_header_holds_a_few_faults_only(keys):
    for too_many in ((), (SLOW,) * 9, (Fault("x" * 200, delay=1.0),) * 8):
        with pytest.raises(BadInput):
            faults.seal(too_many, keys, NOW)
