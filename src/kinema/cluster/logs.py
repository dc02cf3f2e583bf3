"""One log stream: what the children write becomes lines that name their service and instance.

Children log one JSON object a line. As JSON they pass through as they are; for people they become
`time level instance event key=value ...`. Lines that are not JSON (a traceback, a library's warning, Caddy) are framed the
same way, so nothing is lost and everything says where it comes from.
"""

import json
import time
from typing import TextIO

_FIRST = ("timestamp", "level", "service", "instance", "event", "trace_id", "module", "exception")


class LogStream:
    """Writes the lines of a region to one stream, as text or as JSON."""

    def __init__(self, target: TextIO, *, as_json: bool) -> None:
        self._target = target
        self._as_json = as_json

    def line(self, process: str, raw: bytes) -> None:
        """Write one line that a process wrote to its standard error or output."""
        text = raw.decode("utf-8", "replace").rstrip()
        if text:
            self._write(_parsed(process, text))

    def event(self, event: str, *, level: str = "info", **facts: object) -> None:
        """Write a line of the supervisor's own."""
        self._write(
            {
                "timestamp": _now(),
                "level": level,
                "service": "supervisor",
                "instance": "supervisor",
                "event": event,
                **facts,
            }
        )

    def _write(self, record: dict[str, object]) -> None:
        text = json.dumps(record, default=str) if self._as_json else as_text(record)
        try:
            self._target.write(text + "\n")
            self._target.flush()
        except (OSError, ValueError):
            pass  # nobody reads the log any more, or the disk that it goes to is full; the region goes on


def as_text(record: dict[str, object]) -> str:
    """Return a record as a line for people."""
    stamp = str(record.get("timestamp", ""))[11:23].rstrip("Z")
    head = f"{stamp:12} {record.get('level', 'info')!s:7} {record.get('instance') or record.get('service') or '-'!s:12}"
    facts = [f"{key}={value}" for key, value in record.items() if key not in _FIRST and value not in ("", None)]
    if record.get("trace_id"):
        facts.append(f"trace_id={record['trace_id']}")
    line = " ".join([head, str(record.get("event", "")), *facts])
    exception = record.get("exception")
    return f"{line}\n{exception}" if exception else line


def _parsed(process: str, text: str) -> dict[str, object]:
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return _named(process, found)
    return {
        "timestamp": _now(),
        "level": "info",
        "service": process.rpartition("-")[0] or process,
        "instance": process,
        "event": text,
    }


def _named(process: str, record: dict[str, object]) -> dict[str, object]:
    if "msg" in record and "event" not in record:  # Caddy's own field names
        stamp = record.pop("ts", None)
        moment = float(stamp) if isinstance(stamp, int | float) else time.time()
        record = {"timestamp": _iso(moment), "event": record.pop("msg"), **record}
    record.setdefault("timestamp", _now())
    record.setdefault("service", process.rpartition("-")[0] or process)
    record.setdefault("instance", process)
    return record


def _now() -> str:
    return _iso(time.time())


def _iso(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e6):06d}Z"
