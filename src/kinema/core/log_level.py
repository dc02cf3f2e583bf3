"""How much is logged, as a property that operators can change for one service or instance while it runs."""

import logging
from typing import Literal

from kinema.core.properties import Properties, Property, one_of

LogLevel = Literal["debug", "info", "warning", "error"]

LOG_LEVEL = Property[LogLevel](
    "log.level",
    "info",
    "The least severe lines that a process logs. Debug is for Kinema's own lines; libraries stay at info.",
    one_of("debug", "info", "warning", "error"),
)


def follow_log_level(properties: Properties) -> None:
    """Log from now on what the property says."""
    properties.watch(LOG_LEVEL, _set)


def _set(level: LogLevel) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger("kinema").setLevel(number)
    logging.getLogger().setLevel(max(number, logging.INFO))
