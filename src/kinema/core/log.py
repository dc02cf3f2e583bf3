"""One log stream: every line carries the time, the level, the service, the instance and, inside a request, the trace id."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog

Keep = Callable[[Mapping[str, Any]], None]
_keepers: list[Keep] = []  # one at most


def configure(*, json: bool, level: int = logging.INFO) -> None:
    """Send structlog and the standard library's loggers to standard error, as text or as one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _show_to_keepers,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        # The standard library's loggers say which levels pass, so that it can change while everything runs (log_level.py).
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger that names its module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name, module=name)
    return logger


def bind(**context: str) -> None:
    """Add facts (service, instance, trace_id) to every line that this task logs from now on."""
    structlog.contextvars.bind_contextvars(**context)


def keep(keeper: Keep) -> None:
    """Show every line that belongs to a trace to `keeper` as well, from now on; it must be quick and must not log."""
    _keepers[:] = [keeper]  # a process has one


def _show_to_keepers(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if _keepers and event.get("trace_id"):
        for keeper in _keepers:
            keeper(event)
    return event
