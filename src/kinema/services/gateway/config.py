"""What an operator sets for the built-in filters, in `<data>/gateway.toml`; read again when it changes. All is in docs/parts/filters.md.

A file that cannot be used leaves the configuration as it was, and is reported in the log and in the filters' status.
"""

from pathlib import Path

import msgspec

from kinema.core.errors import KinemaError

FILE = "gateway.toml"


class GatewayConfigBroken(KinemaError):
    """The gateway's configuration cannot be used."""


class GatewayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section for each filter that can be set."""


def read_config(path: Path) -> GatewayConfig:
    """Read a file; one that is not there stands for the defaults. Raises GatewayConfigBroken, naming what is wrong."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=GatewayConfig)
    except FileNotFoundError:
        return GatewayConfig()
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise GatewayConfigBroken(f"{path} cannot be used: {error}; see docs/parts/filters.md.") from error
