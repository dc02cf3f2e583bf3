"""`kinema doctor`: what this machine lacks, in plain words."""

import json
from typing import Annotated

import msgspec
from cyclopts import Parameter

from kinema.cluster import doctor as checks
from kinema.commands.options import AsJson, Data, data_dir

_MARKS = {"ok": "ok     ", "warning": "warning", "missing": "MISSING"}


def doctor(
    *,
    data: Data = None,
    port: Annotated[int, Parameter(help="The port that the region is to have.")] = 8080,
    as_json: AsJson = False,
) -> int:
    """Check this machine. Exit code 1 when something is missing without which Kinema cannot work."""
    findings = checks.examine(data_dir(data), port)
    missing = [finding for finding in findings if finding.state == "missing"]
    if as_json:
        print(json.dumps({"ok": not missing, "findings": msgspec.to_builtins(findings)}))
    else:
        for finding in findings:
            print(f"{_MARKS[finding.state]}  {finding.check}: {finding.detail}")
            if finding.remedy:
                print(f"         {finding.remedy}")
        print("Everything that is needed is there." if not missing else f"{len(missing)} things are missing.")
    return 1 if missing else 0
