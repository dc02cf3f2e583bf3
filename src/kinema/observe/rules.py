"""Objectives as Prometheus rules: the share of bad requests over each window, and the alerts on how fast the budget burns.

    slo:sli_error:ratio_rate5m{slo="play-start-quick"}       recorded, for each length that an alert looks at
    KinemaBudgetBurns{slo=..., severity="page"}              both windows of a pair burn faster than its factor (see burn.py)

The windows, factors and severities are those of `burn.py`, which the telemetry service judges by as well. The file is YAML.
"""

from collections.abc import Iterable, Sequence

from kinema.core.histogram import bound_text
from kinema.observe.burn import SPANS, WINDOWS, Window
from kinema.observe.objectives import Objective

REQUESTS = "kinema_requests_total"
DURATIONS = "kinema_request_duration_seconds"
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def rules(objectives: Sequence[Objective]) -> str:
    """Return the text of a rule file for Prometheus."""
    lines = [
        "# Written by `kinema observe rules` from the objectives in slo.toml; do not edit, write it again.",
        "groups:",
    ]
    for objective in objectives:
        lines += [f"  - name: {_quoted(f'slo {objective.name}')}", "    rules:"]
        for seconds in SPANS:
            lines += [
                f"      - record: {recorded(seconds)}",
                f"        expr: {_quoted(bad_ratio(objective, duration(seconds)))}",
                *_labels({"slo": objective.name}),
            ]
        for window in WINDOWS:
            lines += _alert(objective, window)
    return "\n".join(lines) + "\n"


def bad_ratio(objective: Objective, window: str) -> str:
    """Return the share of bad requests within a window ("5m") as PromQL; without requests there is no value."""
    chosen = {"kind": objective.kind, "service": objective.service}
    if objective.route:
        chosen["route"] = objective.route
    if objective.under_seconds is None:
        bad = f"(sum(rate({REQUESTS}{_selector(chosen | {'status': '5xx'})}[{window}])) or vector(0))"
        return f"{bad} / (sum(rate({REQUESTS}{_selector(chosen)}[{window}])) > 0)"
    good = f"sum(rate({DURATIONS}_bucket{_selector(chosen | {'le': bound_text(objective.under_seconds)})}[{window}]))"
    return f"1 - {good} / (sum(rate({DURATIONS}_count{_selector(chosen)}[{window}])) > 0)"


def recorded(seconds: int) -> str:
    """Return the name of the recorded share of bad requests over so many seconds."""
    return f"slo:sli_error:ratio_rate{duration(seconds)}"


def duration(seconds: int) -> str:
    """Return a length as Prometheus writes it, in the largest unit that divides it."""
    return next(f"{seconds // size}{unit}" for size, unit in _UNITS if seconds % size == 0)


def _alert(objective: Objective, window: Window) -> Iterable[str]:
    limit = f"{window.factor:g} * {objective.budget:.10g}"
    this = _selector({"slo": objective.name})
    both = [f"{recorded(seconds)}{this} > {limit}" for seconds in (window.long, window.short)]
    summary = (
        f"{objective.name}: the error budget burns more than {window.factor:g} times as fast as it may, "
        f"over {duration(window.long)} and over {duration(window.short)}."
    )
    return [
        "      - alert: KinemaBudgetBurns",
        f"        expr: {_quoted(' and '.join(f'({one})' for one in both))}",
        *_labels({"slo": objective.name, "severity": window.severity, "window": duration(window.long)}),
        "        annotations:",
        f"          summary: {_quoted(summary)}",
        f"          description: {_quoted(_untemplated(objective.description or objective.name))}",
    ]


def _labels(labels: dict[str, str]) -> Iterable[str]:
    return ["        labels:", *(f"          {name}: {_quoted(value)}" for name, value in labels.items())]


def _selector(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _untemplated(text: str) -> str:
    """Return a text that Prometheus's templates, which annotations are, leave as it is."""
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    """Return a text as YAML's single-quoted scalar; line breaks, which that would fold, become spaces."""
    plain = " ".join(text.split())
    return "'" + plain.replace("'", "''") + "'"
