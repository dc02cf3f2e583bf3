"""What an operator can set: `<data>/kinema.toml`, overridden by `KINEMA_<NAME>` in the environment. Each is in docs/settings.md."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kinema.core.errors import KinemaError

_GIB = 1024**3


class SettingsBroken(KinemaError):
    """A setting cannot be used."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting with its default; sizes in bytes, times in seconds, empty addresses mean the embedded engine."""

    blobs_url: str = ""
    sql_url: str = ""
    cache_url: str = ""
    media_token_seconds: int = 600
    upload_limit_bytes: int = 64 * _GIB
    edge_cache_bytes: int = 4 * _GIB
    encode_threads: int = 0
    session_days: int = 90
    region: str = "home"
    zone: str = "a"
    registry_token: str = ""
    registry_regions: str = ""
    log_json: bool = False
    otlp_endpoint: str = ""
    gateway_filters: str = ""


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `$KINEMA_DATA`, else `kinema` in the user's data directory (XDG Base Directory Specification)."""
    if chosen := environ.get("KINEMA_DATA"):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser().absolute() / "kinema"


def load(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of a data directory. Raises SettingsBroken, naming the setting and where it stands."""
    path = data_dir / "kinema.toml"
    values: dict[str, object] = {}
    try:
        values = msgspec.toml.decode(path.read_bytes(), type=dict[str, object])
    except FileNotFoundError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsBroken(f"{path} is not valid TOML: {error}; correct it or move it away.") from error
    for name in Settings.__struct_fields__:
        if (text := environ.get(f"KINEMA_{name.upper()}")) is not None:
            values[name] = text
    try:
        # strict=False lets the environment's texts become numbers and flags.
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsBroken(
            f"A setting in {path} or in a KINEMA_... variable cannot be used: {error}; see docs/settings.md."
        ) from error
