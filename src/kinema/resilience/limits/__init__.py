"""Adaptive concurrency limits, one file each. `limit("correlated")` makes one by name."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from kinema.core.errors import BadInput
from kinema.resilience.limits.algorithm import Algorithm

ALGORITHMS = {
    "aimd": ("kinema.resilience.limits.aimd", "Aimd"),
    "vegas": ("kinema.resilience.limits.vegas", "Vegas"),
    "gradient2": ("kinema.resilience.limits.gradient2", "Gradient2"),
    "correlated": ("kinema.resilience.limits.correlated", "Correlated"),
}

DEFAULT = "correlated"


def limit(name: str = DEFAULT, **options: Any) -> Algorithm:
    """Make the algorithm of this name; all take `first` and `most`. Raises BadInput for a name that is not in the table."""
    if name not in ALGORITHMS:
        raise BadInput(f"There is no limit named {name!r}; take one of {', '.join(ALGORITHMS)}.")
    module, kind = ALGORITHMS[name]
    make = cast("Callable[..., Algorithm]", getattr(import_module(module), kind))
    return make(**options)


__all__ = ["ALGORITHMS", "DEFAULT", "Algorithm", "limit"]
