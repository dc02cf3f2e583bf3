"""The token with which the command line speaks to the region of a data directory: made once, kept beside the region."""

import os
from pathlib import Path

import msgspec

from kinema.cluster import region_file
from kinema.cluster.ask import ask
from kinema.cluster.inside import Inside
from kinema.core.errors import Unavailable
from kinema.model.members import Token


def local_token(data_dir: Path) -> str:
    """Return an operator's bearer token for the region that runs on this directory. Raises NotFound when none does."""
    region = region_file.read(data_dir)
    path = data_dir / "run" / "command-line-token"
    try:
        kept = path.read_text()
        if (
            ask(f"http://{region.gateway}", "GET", "/v1/session", headers={"authorization": f"Bearer {kept}"}).status
            == 200
        ):
            return kept
    except (FileNotFoundError, Unavailable):
        pass
    answer = Inside(data_dir).call("members", "POST", "/v1/tokens", {"role": "operator", "label": "command line"})
    secret = msgspec.json.decode(answer.body, type=Token).secret or ""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
    return secret
