import re
import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.core.histogram import BUCKETS
from kinema.core.metric_families import FAMILIES
from kinema.observe import dashboards, objectives
from kinema.observe.burn import SPANS, WINDOWS, budget_left, burn_rate, fires
from kinema.observe.dashboards import DASHBOARDS
from kinema.observe.objectives import Objective
from kinema.observe.rules import duration, recorded, rules

DEPLOY = Path(__file__).parents[3] / "deploy"


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- the objectives ------------------------------------------------------------------------------------------------------


def test_the_operators_file_adds_and_replaces(tmp_path):
    (tmp_path / "slo.toml").write_text(
        '[[objective]]\nname = "api-available"\nobjective = 0.9\n[[objective]]\nname = "mine"\nobjective = 0.5\n'
    )
    found = {one.name: one for one in objectives.load(tmp_path)}
    assert found["api-available"].objective == 0.9
    assert found["mine"].budget == 0.5
    assert len(found) == len(objectives.load()) + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[objective]", "slo.toml cannot be used"),
        ('[[objective]]\nname = "a"', "objective"),
        ('[[objective]]\nname = "A b"\nobjective = 0.9', "no name of an objective"),
        ('[[objective]]\nname = "a"\nobjective = 1.0', "< 1.0"),
        (
            '[[objective]]\nname = "a"\nobjective = 0.9\nunder_seconds = 0.25',
            "0.25 s is not measured; use one of 0.0005",
        ),
        ('[[objective]]\nname = "a"\nobjective = 0.9\nroute = "/v1/\\"x"', "no quotes"),
        ('[[objective]]\nname = "a"\nobjective = 0.9\ndescription = "x\\u0007"', "cannot be printed"),
        ('[[objective]]\nname = "a"\nobjective = 0.9\ncolour = "red"', "colour"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, text, says):
    (tmp_path / "slo.toml").write_text(text)
    with pytest.raises(BadInput, match=re.escape(says)):
        objectives.load(tmp_path)


def test_good_is_what_was_promised():
    counts = [0] * BUCKETS
    counts[0], counts[-1] = 90, 10
    statuses = (1, 0, 80, 0, 15, 4)
    assert Objective("a", 0.9).good(counts, statuses) == (96, 100)
    assert Objective("a", 0.9, under_seconds=0.5).good(counts, statuses) == (90, 100)


# -- the arithmetic ------------------------------------------------------------------------------------------------------


def test_a_burn_rate_of_one_uses_the_budget_up_exactly():
    assert burn_rate(999, 1000, 0.999) == pytest.approx(1.0)
    assert budget_left(999, 1000, 0.999) == pytest.approx(0.0)


def test_nothing_asked_burns_nothing():
    assert (burn_rate(0, 0, 0.9), budget_left(0, 0, 0.9)) == (0.0, 1.0)


@pytest.mark.parametrize(("window", "share"), list(zip(WINDOWS, (0.02, 0.05, 0.1, 0.1), strict=True)))
def test_the_factors_are_the_workbooks(window, share):
    assert window.factor == pytest.approx(share * 30 * 24 * 3600 / window.long)


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.5, 0.9999))
def test_an_alert_needs_both_windows(long_bad, short_bad, objective):
    window = WINDOWS[0]
    counts = {window.long: (1000 - long_bad, 1000), window.short: (1000 - short_bad, 1000)}
    both = min(long_bad, short_bad) / 1000 / (1 - objective) > window.factor
    assert fires(window, counts.__getitem__, objective) == both


# -- the rules -----------------------------------------------------------------------------------------------------------

OBJECTIVES = (
    Objective("available", 0.999, description='It\'s there: "always".'),
    Objective("quick", 0.99, route="/v1/plays", under_seconds=0.5),
)
_RED = 'kind="gateway",service="gateway"'


def written(tmp_path, found=OBJECTIVES):
    path = tmp_path / "kinema-slo.yaml"
    path.write_text(rules(found))
    return path


def test_the_built_in_rules_are_valid(tmp_path):
    assert f"{len(objectives.load()) * 11} rules found" in promtool(
        "check", "rules", written(tmp_path, objectives.load())
    )


@pytest.mark.parametrize("description", ["a {{ bad }} one", 'it\'s 9 of 10: "{{ $value }}" # \n  - x', "{{{{ }} {{"])
def test_a_description_comes_out_of_prometheus_as_it_was_written(tmp_path, description):
    path = written(tmp_path, [Objective("mine", 0.9, description=description)])
    told = " ".join(description.split())
    expected = [
        {"exp_labels": rule["labels"], "exp_annotations": {**rule["annotations"], "description": told}}
        for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]
        if "alert" in rule
    ][1:]  # all is bad: ten times the budget, which is enough for all but the quickest alert
    test = {
        "rule_files": [path.name],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": f'kinema_requests_total{{{_RED},status="5xx"}}', "values": "0+9x120"}],
                "alert_rule_test": [{"eval_time": "90m", "alertname": "KinemaBudgetBurns", "exp_alerts": expected}],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yaml")


def rounds(*parts):
    """Return a counter in promtool's notation: (minutes, increase a minute) one after the other."""
    return " ".join(f"{start}+{step}x{minutes}" for start, step, minutes in starts(parts))


def starts(parts):
    value = 0
    for minutes, step in parts:
        yield value, step, minutes - 1
        value += step * minutes


def series(bad):
    """Return requests at 1,000 a minute of which so many are bad: [(minutes, bad a minute), ...]."""
    good = [(minutes, 1000 - failed) for minutes, failed in bad]
    total = [(minutes, 1000) for minutes, _ in bad]
    duration_of = f'{{{_RED},route="/v1/plays"'
    return [
        {"series": f'kinema_requests_total{{{_RED},route="/v1/home",status="2xx"}}', "values": rounds(*good)},
        {"series": f'kinema_requests_total{{{_RED},route="/v1/home",status="5xx"}}', "values": rounds(*bad)},
        {"series": f'kinema_request_duration_seconds_bucket{duration_of},le="0.5"}}', "values": rounds(*good)},
        {"series": f"kinema_request_duration_seconds_count{duration_of}}}", "values": rounds(*total)},
    ]


def firing(path, objective, bad, at):
    """Return what the pure module says of the same requests, as promtool expects alerts."""

    def counts(seconds):
        minutes = [failed for span, failed in bad for _ in range(span)][max(0, at - seconds // 60) : at]
        return sum(1000 - failed for failed in minutes), 1000 * len(minutes)

    alerts = [
        rule
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule and rule["labels"]["slo"] == objective.name
    ]
    return [
        {"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]}
        for alert, window in zip(alerts, WINDOWS, strict=True)
        if fires(window, counts, objective.objective)
    ]


SCENARIOS = [
    # What happened, [(minutes, bad ones of 1,000 a minute)]; when to look; how many of the two objectives' alerts fire.
    ([(120, 0)], 90, 0, 0),
    ([(120, 1)], 90, 0, 0),  # just within the budget of both
    ([(120, 2)], 90, 1, 0),
    ([(120, 5)], 90, 2, 0),
    ([(120, 10)], 90, 3, 0),
    ([(120, 20)], 90, 4, 1),
    ([(120, 200)], 90, 4, 4),
    ([(120, 0), (60, 30)], 125, 1, 0),  # five minutes: too short for the windows of a page
    ([(120, 0), (60, 30)], 160, 4, 0),
    ([(120, 0), (60, 300)], 160, 4, 4),
    ([(120, 0), (40, 30), (60, 0)], 170, 3, 0),  # over for ten minutes: the quick one has ended
]


@pytest.mark.parametrize(("bad", "at", "available", "quick"), SCENARIOS)
def test_prometheus_judges_as_the_telemetry_service_does(tmp_path, bad, at, available, quick):
    path = written(tmp_path)
    expected = {objective.name: firing(path, objective, bad, at) for objective in OBJECTIVES}
    assert {name: len(found) for name, found in expected.items()} == {"available": available, "quick": quick}
    test = {
        "rule_files": [path.name],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series(bad),
                "alert_rule_test": [
                    {
                        "eval_time": f"{at}m",
                        "alertname": "KinemaBudgetBurns",
                        "exp_alerts": expected["available"] + expected["quick"],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yaml")


def test_without_requests_there_is_no_value_and_no_alert(tmp_path):
    test = {
        "rule_files": [written(tmp_path).name],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f'kinema_requests_total{{{_RED},route="/v1/home",status="2xx"}}', "values": "5x120"}
                ],
                "promql_expr_test": [{"expr": recorded(300), "eval_time": "90m", "exp_samples": []}],
                "alert_rule_test": [{"eval_time": "90m", "alertname": "KinemaBudgetBurns", "exp_alerts": []}],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yaml")


# -- the dashboards ------------------------------------------------------------------------------------------------------


def names_of(expression):
    """Return the metrics that an expression reads: what stands before a brace or bracket, or alone."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", bare)
    found = set(re.findall(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()", bare))
    return found - {"or", "and", "unless"}


def known_names():
    names = {"up", *(recorded(seconds) for seconds in SPANS)}
    for family in FAMILIES:
        endings = ("_bucket", "_count", "_sum") if family.kind == "histogram" else ("",)
        names |= {family.name + ending for ending in endings}
    return names


def documents():
    return [msgspec.json.decode(dashboards.encode(one)) for one in DASHBOARDS]


def expressions(document):
    return [target["expr"] for panel in document["panels"] for target in panel["targets"]]


def test_names_are_found_in_expressions():
    text = 'sum by (le, peer) (rate(a_bucket{x="b_total"}[5m])) / on (job) slo:x:y and up'
    assert names_of(text) == {"a_bucket", "slo:x:y", "up"}


@pytest.mark.parametrize("document", documents(), ids=lambda one: one["uid"])
def test_dashboards_ask_for_metrics_that_there_are(document):
    asked = {name for expression in expressions(document) for name in names_of(expression)}
    variables = [one["definition"] for one in document["templating"]["list"] if one["type"] == "query"]
    asked |= {re.match(r"label_values\((\w+)", text).group(1) for text in variables}
    assert asked - known_names() == set()


def test_rules_ask_for_metrics_that_there_are():
    asked = {name for expr in re.findall(r"expr: '(.*)'", rules(objectives.load())) for name in names_of(expr)}
    assert asked - known_names() == set()


def test_prometheus_understands_every_query_of_the_dashboards(tmp_path):
    lines = ["groups:", "  - name: dashboards", "    rules:"]
    number = 0
    for document in documents():
        for expression in expressions(document):
            number += 1
            query = expression.replace("$__rate_interval", "5m").replace("'", "''")
            lines += [f"      - record: query:{number}", f"        expr: '{query}'"]
    path = tmp_path / "queries.yaml"
    path.write_text("\n".join(lines))
    assert f"{number} rules found" in promtool("check", "rules", path)


@pytest.mark.parametrize("document", documents(), ids=lambda one: one["uid"])
def test_dashboards_are_laid_out_as_grafana_wants(document):
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", document["uid"])
    assert document["schemaVersion"] >= 36
    panels = document["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
        assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
    names = {variable["name"] for variable in document["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", msgspec.json.encode(document).decode())) - {"__rate_interval"}
    assert used == names


def test_what_is_deployed_is_what_is_generated():
    assert (DEPLOY / "prometheus" / "kinema-slo.yaml").read_text() == rules(objectives.load())
    for one in DASHBOARDS:
        assert (DEPLOY / "grafana" / f"kinema-{one.name}.json").read_text() == dashboards.encode(one)


def test_durations_are_written_as_prometheus_does():
    assert [duration(seconds) for seconds in SPANS] == ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
