"""What is kept for devices that come back, compared with a plain list; who is reached; what is remembered."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kinema.core.clock import ManualClock
from kinema.core.errors import Conflict, TooMany
from kinema.model.members import Who
from kinema.model.push import HandedMessage, PushMessage, Taken, ToAccount, ToDevice, ToEverybody, ToRole
from kinema.services.gateway import push_mailbox
from kinema.services.gateway.push_event import PushEvent
from kinema.services.gateway.push_mailbox import Mailbox, Remembered
from kinema.services.gateway.push_registry import TURNS, Device, PushLimits, Registry, reaches

ACCOUNTS = ("anna", "bert")
DEVICES = ("", "device-1", "device-2")
targets = st.one_of(
    st.just(ToEverybody()),
    st.sampled_from(("viewer", "operator")).map(ToRole),
    st.sampled_from(ACCOUNTS).map(ToAccount),
    st.builds(ToDevice, st.sampled_from(ACCOUNTS), st.sampled_from(DEVICES[1:])),
)


class Listener(Device):
    """A device that only is there."""

    transport = "websocket"

    def __init__(self, account, device, role, session="s"):
        super().__init__(Who(account, role, session), device, b"")
        self.heard = []

    def send(self, event):
        self.heard.append(event)
        return True

    def ping(self):
        return True

    def part(self, after_ms):
        pass

    def cut(self, *, unwanted):
        pass


listeners = st.builds(
    Listener, st.sampled_from(ACCOUNTS), st.sampled_from(DEVICES), st.sampled_from(("viewer", "operator"))
)


class Keeping(RuleBasedStateMachine):
    """The mailbox against a list of everything that was ever kept."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock(1_000.0)
        self.mailbox = Mailbox(self.clock)
        self.all = []
        self.number = 0

    @rule(to=targets, live=st.integers(0, 50), key=st.sampled_from((None, "a", "b")), late=st.booleans())
    def keep(self, to, live, key, late):
        self.number += 2
        message_id = f"msg_{self.number - 3 * late:026d}"
        message = PushMessage(to=to, type="note", collapse_key=key)
        expires_at = self.clock.now() + live
        self.mailbox.keep(
            HandedMessage(message, message_id, expires_at, message_id, ""), PushEvent("note", b"{}", message_id)
        )
        self.all.append((message_id, to, key, expires_at))

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule(device=listeners, back=st.integers(0, 10))
    def come_back(self, device, back):
        after = f"msg_{max(0, self.number - back):026d}"
        now = self.clock.now()
        # What is due by the plain reading; a message may be left out only if a newer one of its key was ever there.
        due = [one for one in self.all if one[0] > after and one[3] > now and reaches(one[1], device)]
        newest = {}
        for message_id, target, key, _ in self.all:
            if key is not None:
                newest[target, key] = max(message_id, newest.get((target, key), ""))
        got = [event.message_id for event in self.mailbox.since(after, device)]
        assert got == sorted(set(got))
        assert set(got) <= {one[0] for one in due}
        must = {one[0] for one in due if one[2] is None or newest[one[1], one[2]] == one[0]}
        assert must <= set(got)
        assert list(self.mailbox.since("", device)) == []

    @invariant()
    def counts(self):
        assert self.mailbox._bytes == 2 * len(self.mailbox)
        assert len(self.mailbox) <= len(self.all)


TestKeeping = Keeping.TestCase


def test_the_oldest_goes_when_there_is_no_room(monkeypatch):
    monkeypatch.setattr(push_mailbox, "MOST_KEPT", 10)
    monkeypatch.setattr(push_mailbox, "MOST_KEPT_BYTES", 100)
    clock = ManualClock()
    mailbox = Mailbox(clock)
    for number in range(30):
        message_id = f"msg_{number:026d}"
        message = PushMessage(to=ToEverybody(), type="note")
        handed = HandedMessage(message, message_id, clock.now() + 60, message_id, "")
        mailbox.keep(handed, PushEvent("note", b"x" * (5 if number < 20 else 20), message_id))
        assert len(mailbox) <= 10
        assert mailbox._bytes <= 100
    assert [event.message_id[-2:] for event in mailbox.since("0", Listener("anna", "", "viewer"))] == [
        "25", "26", "27", "28", "29",
    ]  # fmt: skip


def test_a_message_is_remembered_for_an_hour_and_its_key_is_no_other_message():
    clock = ManualClock()
    remembered = Remembered(clock)
    handed = HandedMessage(PushMessage(to=ToEverybody(), type="note"), "msg_1", 0.0, "key", "digest")
    taken = Taken("msg_1", 3)
    assert remembered.find(handed) is None
    remembered.add(handed, taken)
    again = msgspec.structs.replace(handed, message_id="msg_2")
    assert remembered.find(again) == taken
    with pytest.raises(Conflict):
        remembered.find(msgspec.structs.replace(again, digest="another"))
    clock.advance(3_600)
    assert remembered.find(again) is None


@given(st.lists(listeners, max_size=30), targets)
def test_a_message_goes_to_exactly_those_whom_it_reaches(devices, target):
    registry = Registry(PushLimits())
    for device in devices:
        registry.add(device)
    assert set(registry.of(target)) == {device for device in devices if reaches(target, device)}
    assert sorted(map(id, registry.all())) == sorted(map(id, devices))
    assert registry.operators == sum(device.role == "operator" for device in devices)
    assert sum(len(registry.turn(number)) for number in range(TURNS)) == len(devices)
    for device in devices:
        assert registry.remove(device)
        assert not registry.remove(device)
    assert (len(registry), registry.accounts, registry.operators, registry.all()) == (0, 0, 0, [])


def test_turns_are_even():
    registry = Registry(PushLimits())
    for number in range(10 * TURNS):
        registry.add(Listener("anna", "", "viewer", str(number)))
    assert {len(registry.turn(number)) for number in range(TURNS)} == {10}


def test_streams_have_a_limit_of_their_own():
    registry = Registry(PushLimits(streams=0, connections=5))
    who = Who("anna", "viewer", "s")
    registry.check(who, "websocket")
    with pytest.raises(TooMany):
        registry.check(who, "sse")
