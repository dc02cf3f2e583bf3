"""The newest log lines that belong to traces, kept until the next report takes them to the telemetry service."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from kinema.core.clock import Clock
from kinema.model.telemetry import LogLine

_MOST = 300
_MOST_FACTS = 20
_LONGEST = 2000
_OWN = frozenset({"trace_id", "level", "service", "instance", "event", "timestamp"})


class TraceLines:
    """Give it to `core.log.keep`. Lines may come from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: deque[LogLine] = deque(maxlen=_MOST)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Keep a line."""
        facts = {name: str(value)[:_LONGEST] for name, value in event.items() if name not in _OWN and name[:1] != "_"}
        self._lines.append(
            LogLine(
                trace_id=str(event["trace_id"])[:32],
                at=self._clock.now(),
                level=str(event.get("level", "")),
                service=str(event.get("service", "")),
                instance=str(event.get("instance", "")),
                event=str(event.get("event", ""))[:_LONGEST],
                facts=dict(list(facts.items())[:_MOST_FACTS]),
            )
        )

    def take(self) -> list[LogLine]:
        """Return the lines since the last time, and forget them."""
        return [self._lines.popleft() for _ in range(len(self._lines))]
