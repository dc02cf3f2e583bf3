import logging
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.properties import (
    Properties,
    Property,
    PropertyRefused,
    at_least,
    between,
    one_of,
)
from kinema.core.property_scope import Override, Place, Scope, draw

FLAG = Property("test.flag", False, "Whether.")
COUNT = Property("test.count", 5, "How many.", between(0, 100))
SHARE = Property("test.share", 0.5, "Which part of it.", between(0, 1))
NAME = Property("test.name", "plain", "What it is called.")
LEVEL = Property[Literal["low", "high"]]("test.level", "low", "How much.", one_of("low", "high"))
HOSTS = Property[tuple[str, ...]]("test.hosts", ("a", "b"), "Where.", one_of("a", "b", "c"))
LIST = Property[tuple[str, ...]]("test.list", (), "What.")
ALL = (FLAG, COUNT, SHARE, NAME, LEVEL, HOSTS)


def runtime(wanted, value, expires_at=None, **scope):
    return Override(wanted.name, value, Scope(**scope), expires_at)


def test_without_layers_the_defaults_hold():
    properties = Properties()
    assert [properties[one] for one in ALL] == [False, 5, 0.5, "plain", "low", ("a", "b")]


def test_each_layer_is_stronger_than_the_one_before():
    properties = Properties(environment={"KINEMA_PROPERTY_TEST_COUNT": "7"})
    explained = [properties.explain(COUNT)]
    properties.replace_file({"test.count": 6})
    explained.append(properties.explain(COUNT))
    properties.replace_overrides([runtime(COUNT, 8)])
    explained.append(properties.explain(COUNT))
    assert [(one.value, one.layer) for one in explained] == [(7, "environment"), (7, "environment"), (8, "runtime")]
    assert [(row.layer, row.value) for row in explained[-1].layers] == [
        ("runtime", 8),
        ("environment", "7"),
        ("file", 6),
        ("default", 5),
    ]
    assert properties[COUNT] == 8


def test_taking_a_value_back_brings_the_next_layer_back():
    properties = Properties()
    properties.replace_file({"test.name": "from the file"})
    properties.replace_overrides([runtime(NAME, "set now")])
    assert properties[NAME] == "set now"
    properties.replace_overrides([])
    assert properties[NAME] == "from the file"
    properties.replace_file({})
    assert properties[NAME] == "plain"


@pytest.mark.parametrize(
    ("wanted", "text", "value"),
    [
        (FLAG, "true", True),
        (FLAG, " ON ", True),
        (FLAG, "0", False),
        (COUNT, "12", 12),
        (SHARE, "1", 1.0),
        (SHARE, "2.5e-1", 0.25),
        (NAME, "12", "12"),
        (LEVEL, "high", "high"),
        (HOSTS, "a, c", ("a", "c")),
        (HOSTS, "", ()),
    ],
)
def test_texts_of_the_environment_become_values(wanted, text, value):
    found = Properties(environment={wanted.variable: text})[wanted]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (FLAG, 1),
        (FLAG, "true"),
        (COUNT, 5.0),
        (COUNT, True),
        (COUNT, "5"),
        (COUNT, 101),
        (COUNT, 10**400),
        (SHARE, float("nan")),
        (SHARE, 10**400),
        (SHARE, True),
        (NAME, 5),
        (NAME, "two\nlines"),
        (NAME, "x" * 1001),
        (LEVEL, "higher"),
        (HOSTS, "a"),
        (HOSTS, ["a", 5]),
        (HOSTS, ["a", "d"]),
        (HOSTS, ["a"] * 101),
        (LIST, ["a" * 1000] * 11),
        (HOSTS, {"a": 1}),
        (NAME, None),
    ],
)
def test_what_a_property_does_not_accept_is_refused_with_what_is_allowed(wanted, value):
    with pytest.raises(PropertyRefused) as caught:
        wanted.accept(value)
    assert str(caught.value).startswith(f"The property {wanted.name} cannot be ")
    assert str(caught.value).endswith(f"; allowed is {wanted.allowed}.")


def test_the_sentence_names_property_value_and_what_is_allowed():
    with pytest.raises(
        PropertyRefused, match=r"^The property test\.count cannot be 'many'; allowed is a whole number, fr"
    ):
        COUNT.parse("many")
    assert [one.allowed for one in (FLAG, SHARE, NAME, LEVEL, HOSTS)] == [
        "true or false",
        "a number, from 0 to 1",
        "a text",
        "one of low, high",
        "a list, each one of a, b, c",
    ]


def test_limits_are_said_in_full():
    checks = (between(0, 1 << 30), between(0.5, 10.0), at_least(-1))
    assert [one.allowed for one in checks] == ["from 0 to 1073741824", "from 0.5 to 10", "at least -1"]


@given(st.sampled_from(ALL), st.text(max_size=30) | st.sampled_from(["nan", "inf", "-1", "1e400", "١٢", "1_0"]))
def test_whatever_a_text_is_it_is_a_value_or_refused(wanted, text):
    try:
        value = wanted.parse(text)
    except PropertyRefused:
        return
    assert wanted.accept(value) == value


@pytest.mark.parametrize(
    "name", ["plain", "Upper.case", "a..b", "a.b-c", ".a", "a._b", "a.1", "a.b_", "a." + "b" * 100]
)
def test_names_are_lower_case_words_with_a_dot(name):
    with pytest.raises(ValueError, match="no name of a property"):
        Property(name, 1, "")


def test_a_default_must_keep_to_its_own_check():
    with pytest.raises(ValueError, match="contradicts"):
        Property("test.wrong", 0, "", at_least(1))


def test_watchers_hear_the_value_at_once_and_then_changes_alone():
    properties, heard = Properties(), []
    unwatch = properties.watch(COUNT, heard.append)
    properties.replace_overrides([runtime(COUNT, 6), runtime(NAME, "other")])
    properties.replace_overrides([runtime(COUNT, 6)])
    properties.replace_file({"test.count": 9})
    assert heard == [5, 6]
    unwatch()
    unwatch()
    properties.replace_overrides([])
    assert heard == [5, 6]
    assert properties[COUNT] == 9


def test_all_values_have_changed_when_the_first_watcher_hears_of_it():
    properties, seen = Properties(), []
    properties.watch(COUNT, lambda value: seen.append((value, properties[SHARE])))
    properties.watch(SHARE, lambda value: seen.append((properties[COUNT], value)))
    seen.clear()
    properties.replace_overrides([runtime(COUNT, 6), runtime(SHARE, 0.75)])
    assert seen == [(6, 0.75), (6, 0.75)]


def test_a_watcher_that_raises_is_logged_and_does_not_stop_others(caplog):
    properties, heard = Properties(), []

    def broken(value):
        raise RuntimeError(f"no use for {value}")

    properties.watch(COUNT, broken)
    properties.watch(COUNT, heard.append)
    properties.replace_overrides([runtime(COUNT, 6)])
    assert heard == [5, 6]


def test_a_watcher_may_end_its_own_watch_while_it_is_called():
    properties, heard = Properties(), []
    ends = []

    def once(value):
        heard.append(value)
        if ends:
            ends[0]()

    ends.append(properties.watch(COUNT, once))
    properties.watch(COUNT, heard.append)
    for value in (6, 7):
        properties.replace_overrides([runtime(COUNT, value)])
    assert heard == [5, 5, 6, 6, 7]


def test_a_refused_value_of_the_file_leaves_its_last_good_one():
    properties, heard = Properties(), []
    properties.watch(COUNT, heard.append)
    properties.replace_file({"test.count": 7, "test.name": "first"})
    properties.replace_file({"test.count": 700, "test.name": "second"})
    assert (properties[COUNT], properties[NAME]) == (7, "second")
    properties.replace_file({"test.count": 8})
    assert heard == [5, 7, 8]


@pytest.mark.parametrize("layer", ["file", "environment", "runtime"])
def test_a_refused_value_leaves_the_next_layer_and_the_explanation_says_why(layer):
    properties = Properties(environment={COUNT.variable: "700"} if layer == "environment" else {})
    properties.replace_file({"test.count": 700} if layer == "file" else {})
    properties.replace_overrides([runtime(COUNT, 700)] if layer == "runtime" else [])
    explained = properties.explain(COUNT)
    assert (explained.value, explained.layer) == (5, "default")
    assert [(row.layer, row.refused) for row in explained.layers] == [
        (layer, "The property test.count cannot be 700; allowed is a whole number, from 0 to 100."),
        ("default", ""),
    ]


def test_a_refused_value_is_logged_once(caplog):
    from kinema.core import log

    log.configure(json=True)
    logging.getLogger().addHandler(caplog.handler)
    properties = Properties(environment={COUNT.variable: "700"})
    for _ in range(3):
        assert properties[COUNT] == 5
        properties.replace_overrides([])
    said = [record for record in caplog.records if "test.count cannot be 700" in record.getMessage()]
    assert len(said) == 1


HERE = Place("cell-1", ("catalog",), ("catalog-1",), "a", "home")


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(instance="catalog-1"),
        Scope(instance="cell-1"),
        Scope(service="catalog"),
        Scope(zone="a"),
        Scope(region="home"),
        Scope("catalog-1", "catalog", "a", "home"),
        Scope(percent=100),
    ],
)
def test_an_override_holds_where_all_of_its_scope_matches(scope):
    properties = Properties(HERE)
    properties.replace_overrides([Override(COUNT.name, 9, scope)])
    assert properties[COUNT] == 9


@pytest.mark.parametrize(
    "scope",
    [
        Scope(instance="catalog-2"),
        Scope(service="playback"),
        Scope(zone="b"),
        Scope(region="away"),
        Scope("catalog-1", "catalog", "b", "home"),
        Scope(percent=0),
    ],
)
def test_an_override_for_elsewhere_does_not_hold(scope):
    properties = Properties(HERE)
    properties.replace_overrides([Override(COUNT.name, 9, scope)])
    assert properties[COUNT] == 5


def test_the_most_specific_override_wins():
    ordered = [
        Scope("catalog-1", "catalog"),
        Scope(instance="catalog-1"),
        Scope(service="catalog", zone="a", region="home"),
        Scope(service="catalog", zone="a"),
        Scope(service="catalog", region="home"),
        Scope(service="catalog"),
        Scope(zone="a", region="home"),
        Scope(zone="a"),
        Scope(region="home", percent=99.9999),
        Scope(region="home"),
        Scope(),
    ]
    properties = Properties(HERE)
    for begin in range(len(ordered)):
        rows = [Override(COUNT.name, number, scope) for number, scope in enumerate(ordered)][begin:]
        properties.replace_overrides(reversed(rows))
        assert properties[COUNT] == begin


def test_a_percentage_takes_about_that_many_instances_and_growing_only_adds():
    names = [f"catalog-{number}" for number in range(2000)]
    before = set()
    for percent in (1, 10, 50, 100):
        taken = set()
        for name in names:
            properties = Properties(Place(name, ("catalog",)))
            properties.replace_overrides([Override(COUNT.name, 9, Scope(percent=percent))])
            if properties[COUNT] == 9:
                taken.add(name)
        assert before <= taken
        assert len(taken) == pytest.approx(20 * percent, abs=20 + 2 * percent % 100)
        before = taken
    assert len(before) == len(names)


def test_two_properties_do_not_try_on_the_same_instances():
    names = [f"catalog-{number}" for number in range(1000)]
    both = [name for name in names if draw("test.count", name) < 10 and draw("test.share", name) < 10]
    assert len(both) < 30


def test_of_two_percentages_the_smaller_one_wins_where_both_hold():
    properties = Properties(HERE)
    drawn = draw(COUNT.name, "cell-1")
    smaller, larger = Scope(percent=drawn + 1e-6), Scope(percent=99.999999)
    properties.replace_overrides([Override(COUNT.name, 8, larger), Override(COUNT.name, 9, smaller)])
    assert properties[COUNT] == 9


def test_an_override_ends_by_itself():
    clock, heard = ManualClock(), []
    properties = Properties(clock=clock)
    properties.watch(COUNT, heard.append)
    properties.replace_overrides([runtime(COUNT, 9, expires_at=clock.now() + 10), runtime(COUNT, 6, service="none")])
    clock.advance(9.9)
    properties.expire()
    assert properties[COUNT] == 9
    clock.advance(0.1)
    properties.expire()
    assert heard == [5, 9, 5]


def test_of_several_ends_each_comes_in_its_time():
    clock, heard = ManualClock(), []
    properties = Properties(HERE, clock=clock)
    properties.watch(COUNT, heard.append)
    overrides = [runtime(COUNT, 7, clock.now() + 30), runtime(COUNT, 8, clock.now() + 20, zone="a")]
    properties.replace_overrides([*overrides, runtime(COUNT, 9, clock.now() + 10, service="catalog")])
    for _ in range(40):
        clock.advance(1)
        properties.expire()
    assert heard == [5, 9, 8, 7, 5]


def test_names_that_no_property_has_are_told():
    environment = {"KINEMA_PROPERTY_TEST_COUNT": "6", "KINEMA_PROPERTY_TEST_CUONT": "6", "KINEMA_REGION": "x"}
    properties = Properties(environment=environment)
    properties.replace_file({"test.name": "x", "tset.name": "x", "test": "x"})
    assert properties.unknown(ALL) == ("KINEMA_PROPERTY_TEST_CUONT", "test", "tset.name")


def test_services_of_one_process_see_the_same_layers_from_their_own_places():
    process = Properties(Place("cell-1", ("catalog", "playback"), ("catalog-1", "playback-1"), "a", "home"))
    catalog, playback = process.at("catalog", "catalog-1"), process.at("playback", "playback-1")
    heard = []
    catalog.watch(COUNT, heard.append)
    process.replace_overrides([runtime(COUNT, 9, service="catalog")])
    assert (process[COUNT], catalog[COUNT], playback[COUNT], heard) == (9, 9, 5, [5, 9])
    process.replace_overrides([runtime(COUNT, 8, instance="cell-1"), runtime(COUNT, 7, service="playback")])
    assert (process[COUNT], catalog[COUNT], playback[COUNT]) == (8, 8, 8)
    process.replace_overrides([runtime(COUNT, 7, instance="playback-1")])
    assert (process[COUNT], catalog[COUNT], playback[COUNT]) == (7, 5, 7)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope(), "everywhere"),
        (Scope(instance="gateway-1"), "gateway-1"),
        (Scope(service="catalog", zone="b", percent=10), "10 % of catalog in zone b"),
        (Scope(percent=2.5, region="home"), "2.5 % of instances in region home"),
        (Scope(instance="x-1", service="x"), "x-1 of x"),
    ],
)
def test_a_scope_reads_like_words(scope, words):
    assert str(scope) == words
