"""Any history of changes against a dict: what is set, what each line of the trail says, what rolling back brings back."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.unit.configuration.test_configuration import given as said
from tests.unit.configuration.test_configuration import opened

SCOPES = ({}, {"service": "catalog"}, {"service": "catalog", "zone": "b"}, {"instance": "gateway-1"})
levels = st.sampled_from(["debug", "info", "warning", "error"])
ends = st.none() | st.integers(1, 30)
steps = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(SCOPES), st.sampled_from([100, 100, 10, 50]), levels, ends),
    st.tuples(st.just("unset"), st.sampled_from(SCOPES), st.booleans()),
    st.tuples(st.just("roll back"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(1, 20)),
)


def key(scope, canary):
    return (*sorted(scope.items()), canary)


class Model:
    """What holds by scope as (value, percent, end), and each line of the trail as (scope, before, after)."""

    def __init__(self):
        self.now, self.held, self.lines = 0, {}, []

    def end(self):
        due = sorted((kept[2], name) for name, kept in self.held.items() if kept[2] is not None and kept[2] <= self.now)
        for _, name in due:
            self.lines.append((name, self.held.pop(name), None))

    def become(self, name, kept):
        before = self.held.get(name)
        if before == kept:
            return
        self.lines.append((name, before, kept))
        if kept is None:
            del self.held[name]
        else:
            self.held[name] = kept


async def play(history):
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory)) as room:
            model = Model()
            for at, step in enumerate(history):
                match step:
                    case "wait", seconds:
                        room.clock.shift += seconds
                        model.now += seconds
                    case "set", scope, percent, level, seconds:
                        model.end()
                        seconds = seconds and seconds + at / 1024  # no two end at the same moment
                        sent = {"scope": scope | {"percent": percent}} | ({"expires_in": seconds} if seconds else {})
                        assert (await room.set(level, **sent)).status_code == 200
                        model.become(key(scope, percent < 100), (level, percent, seconds and model.now + seconds))
                    case "unset", scope, canary:
                        model.end()
                        query = "&".join(f"{name}={value}" for name, value in scope.items())
                        answer = await room.unset(f"?{query}&canary={str(canary).lower()}")
                        known = key(scope, canary) in model.held
                        assert answer.status_code == (200 if known else 404)
                        if known:
                            model.become(key(scope, canary), None)
                    case "roll back", number:
                        model.end()
                        number = number % len(model.lines) if model.lines else 0
                        answer = await room.roll_back(number + 1)
                        if not model.lines:
                            assert answer.status_code == 404
                            continue
                        assert answer.status_code == 200, answer.text
                        name, before, _ = model.lines[number]
                        if before is not None and before[2] is not None and before[2] <= model.now:
                            before = None
                        model.become(name, before)
                await agree(room, model)


async def agree(room, model):
    model.end()
    trail = list(reversed((await room.get("/v1/properties/audit?limit=100")).json()["entries"]))
    assert [(line["old"] and line["old"]["value"], line["new"] and line["new"]["value"]) for line in trail] == [
        (before and before[0], after and after[0]) for _, before, after in model.lines
    ]
    held = {}
    for row in (await room.get()).json()["overrides"]:
        scope = said(row["scope"])
        percent = scope.pop("percent", 100)
        held[key(scope, percent < 100)] = (row["value"], percent)
    assert held == {name: kept[:2] for name, kept in model.held.items()}


@settings(max_examples=8, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
@given(st.lists(steps, min_size=8, max_size=20))
def test_any_history_of_changes_is_kept_and_can_be_gone_back_in(history):
    asyncio.run(play(history))
