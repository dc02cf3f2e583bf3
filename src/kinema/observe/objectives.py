"""Service level objectives: which share of which requests shall be good, declared in TOML.

    [[objective]]
    name = "play-start"                   # letters, digits and hyphens; also the name in alerts
    description = "A play starts."
    route = "/v1/plays"                   # of the gateway; `kind` and `service` choose others, empty means all
    objective = 0.999                     # the share that shall be good
    under_seconds = 0.5                   # good means answered within this time; without it, not answered by a 5xx
    window_days = 30

The built-in file comes first; `<data>/slo.toml` adds to it and replaces what has the same name.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kinema.core.errors import BadInput
from kinema.core.histogram import BOUNDS, within
from kinema.core.metrics import CLASSES

BUILT_IN = Path(__file__).with_name("slo.toml")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FAILED = CLASSES.index("5xx")
_MOST = 50


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One objective; see the module. Empty `route`: all routes of the service."""

    name: Annotated[str, msgspec.Meta(max_length=60)]
    objective: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    description: Annotated[str, msgspec.Meta(max_length=300)] = ""
    kind: Literal["gateway", "server", "client", "edge"] = "gateway"
    service: Annotated[str, msgspec.Meta(max_length=60)] = "gateway"
    route: Annotated[str, msgspec.Meta(max_length=200)] = ""
    under_seconds: float | None = None
    window_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 30

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return 1.0 - self.objective

    def covers(self, kind: str, service: str, route: str) -> bool:
        """Say whether requests of this route count."""
        return kind == self.kind and service == self.service and (not self.route or route == self.route)

    def good(self, counts: list[int], statuses: tuple[int, ...]) -> tuple[int, int]:
        """Return how many of these requests were good, and how many there were."""
        total = sum(statuses)
        if self.under_seconds is None:
            return total - statuses[_FAILED], total
        return within(counts, self.under_seconds), total


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    objective: tuple[Objective, ...] = ()


def load(data_dir: Path | None = None) -> tuple[Objective, ...]:
    """Return the objectives of the built-in file and of the operator's. Raises BadInput naming file and mistake."""
    found: dict[str, Objective] = {}
    own = data_dir / "slo.toml" if data_dir else None
    for path in (BUILT_IN, *([own] if own and own.exists() else [])):
        try:
            for objective in msgspec.toml.decode(path.read_bytes(), type=_File).objective:
                found[check(objective).name] = objective
        except (msgspec.DecodeError, UnicodeDecodeError, BadInput) as error:
            raise BadInput(f"The objectives in {path} cannot be used: {error}") from error
    if len(found) > _MOST:
        raise BadInput(f"There are {len(found)} objectives; declare at most {_MOST}.")
    return tuple(found.values())


def check(objective: Objective) -> Objective:
    """Return the objective when it can be measured, else raise BadInput."""
    if not _NAME.fullmatch(objective.name):
        raise BadInput(f"{objective.name!r} is no name of an objective; use small letters, digits and hyphens.")
    if objective.under_seconds is not None and objective.under_seconds not in BOUNDS:
        bounds = ", ".join(f"{bound:g}" for bound in BOUNDS)
        raise BadInput(f"{objective.name}: {objective.under_seconds} s is not measured; use one of {bounds}.")
    if '"' in objective.service + objective.route or "\\" in objective.service + objective.route:
        raise BadInput(f"{objective.name}: a service or route has no quotes and no backslashes.")
    said = "".join((objective.service, objective.route, *objective.description.split()))  # line breaks become spaces
    if not said.isprintable():
        raise BadInput(f"{objective.name}: {said[:100]!r} has characters that cannot be printed; leave them out.")
    return objective
