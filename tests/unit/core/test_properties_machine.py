"""Any sequence of changes against the plainest thing that could be right: look at everything, every time."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kinema.core.clock import ManualClock
from kinema.core.properties import Properties, Property, between
from kinema.core.property_scope import Override, Place, Scope, draw

ONE = Property("test.one", 5, "One.", between(0, 9))
TWO = Property("test.two", 6, "Two.", between(0, 9))
BOTH = (ONE, TWO)
PROCESS = Place("cell-1", ("catalog", "playback"), ("catalog-1", "playback-1"), "a", "home")

values = st.integers(-2, 11)  # some are refused
tables = st.dictionaries(st.sampled_from([one.name for one in BOTH]), values)
scopes = st.builds(
    Scope,
    instance=st.sampled_from(["", "", "cell-1", "catalog-1", "playback-1", "other-1"]),
    service=st.sampled_from(["", "", "catalog", "playback"]),
    zone=st.sampled_from(["", "", "a", "b"]),
    region=st.sampled_from(["", "", "home"]),
    percent=st.sampled_from([100.0, 100.0, 99.0, 50.0, 1.0]),
)


def key(override):
    """Overrides of one property have different scopes, and one percentage a scope, as the service sees to."""
    scope = override.scope
    return override.name, scope.instance, scope.service, scope.zone, scope.region, scope.percent < 100


def holds(override, place, now):
    scope = override.scope
    return (
        (override.expires_at is None or override.expires_at > now)
        and scope.instance in {"", place.process, *place.instances}
        and scope.service in {"", *place.services}
        and scope.zone in {"", place.zone}
        and scope.region in {"", place.region}
        and (scope.percent == 100 or draw(override.name, place.process) < scope.percent)
    )


def strength(override):
    scope = override.scope
    given = tuple(bool(part) for part in (scope.instance, scope.service, scope.zone, scope.region))
    return (*given, -scope.percent)


class AnySequenceOfChanges(RuleBasedStateMachine):
    @initialize(texts=st.dictionaries(st.sampled_from([one.variable for one in BOTH]), values.map(str)))
    def begin(self, texts):
        self.clock = ManualClock()
        self.texts, self.file, self.overrides = texts, {}, []
        process = Properties(PROCESS, texts, self.clock)
        self.views = [process, process.at("catalog", "catalog-1"), process.at("playback", "playback-1")]
        self.heard = {}
        for number, view in enumerate(self.views):
            for one in BOTH:
                heard = self.heard[number, one.name] = []
                view.watch(one, heard.append)

    @rule(table=tables)
    def save_the_file(self, table):
        good = {name: value for name, value in table.items() if 0 <= value <= 9}
        kept = {name: self.file[name] for name in table.keys() - good.keys() if name in self.file}
        self.file = good | kept
        self.views[0].replace_file(table)

    @rule(rows=st.lists(st.tuples(st.sampled_from(BOTH), values, scopes, st.none() | st.floats(0.5, 20)), max_size=6))
    def set_overrides(self, rows):
        now = self.clock.now()
        made = [Override(one.name, value, scope, end and now + end) for one, value, scope, end in rows]
        self.overrides = list({key(one): one for one in made}.values())
        self.views[0].replace_overrides(self.overrides)

    @rule(seconds=st.floats(0.1, 15))
    def let_time_pass(self, seconds):
        self.clock.advance(seconds)
        self.views[0].expire()

    def expected(self, one, view):
        fitting = [
            row
            for row in self.overrides
            if row.name == one.name and 0 <= row.value <= 9 and holds(row, view.place, self.clock.now())
        ]
        if fitting:
            best = max(map(strength, fitting))
            return {row.value for row in fitting if strength(row) == best}
        text = self.texts.get(one.variable)
        if text is not None and 0 <= int(text) <= 9:
            return {int(text)}
        return {self.file.get(one.name, one.default)}

    @invariant()
    def every_view_has_what_is_right_and_its_watcher_heard_it_last(self):
        for number, view in enumerate(self.views):
            for one in BOTH:
                assert view[one] in self.expected(one, view)
                assert view.explain(one).value == view[one]
                heard = self.heard[number, one.name]
                assert heard[-1] == view[one]
                assert all(before != after for before, after in itertools.pairwise(heard))


AnySequenceOfChanges.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None, database=None)
TestAnySequenceOfChanges = AnySequenceOfChanges.TestCase
