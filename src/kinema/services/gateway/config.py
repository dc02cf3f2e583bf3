"""What an operator sets for the built-in filters, in `<data>/gateway.toml`; read again when it changes. All is in docs/parts/filters.md.

A file that cannot be used leaves the configuration as it was, and is reported in the log and in the filters' status.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from kinema.core.errors import BadInput, KinemaError
from kinema.core.faults import Fault, checked
from kinema.http import encode_fields

FILE = "gateway.toml"

Percent = Annotated[float, Meta(ge=0, le=100)]
Prefix = Annotated[str, Meta(pattern=r"^/")]
_MIB = 1024 * 1024


class GatewayConfigBroken(KinemaError):
    """The gateway's configuration cannot be used."""


class Cors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which other sites' pages may use the API. `origins` are "https://host[:port]", or "*" for all (then without credentials)."""

    origins: tuple[Annotated[str, Meta(pattern=r"^(\*|https?://[^/\s]+)$")], ...] = ()
    credentials: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    headers: tuple[str, ...] = ("authorization", "content-type", "if-match", "if-none-match", "idempotency-key")
    expose: tuple[str, ...] = ("etag", "location", "x-request-id", "retry-after", "ratelimit")
    max_age: Annotated[int, Meta(ge=0, le=86_400)] = 600

    def __post_init__(self) -> None:
        if "*" in self.origins and self.credentials:
            raise ValueError(
                "cors: all origins with credentials would let any page act for the visitor; name the origins"
            )
        for texts in (self.methods, self.headers, self.expose):
            encode_fields(((b"x", ", ".join(texts).encode()),))


class Compression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers from `smallest_bytes` on are compressed, with the first of these codings that the client takes best."""

    codings: tuple[str, ...] = ("zstd", "br", "gzip")
    smallest_bytes: Annotated[int, Meta(ge=0)] = 1024

    def __post_init__(self) -> None:
        if not {"zstd", "br", "gzip"}.issuperset(self.codings):
            raise ValueError("compression: codings are of zstd, br and gzip; none at all switches it off")


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`per_second` requests on the average and `burst` at once, for each account or address; 0 a second: no limit."""

    per_second: Annotated[float, Meta(ge=0, le=1e9)] = 1000.0
    burst: Annotated[int, Meta(ge=1)] = 2000


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits in this process's memory, or with `redis_url` ("redis://host:port/0") for all gateways together."""

    account: Rate = Rate()
    address: Rate = Rate()
    redis_url: str = ""


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which instances of a service: those of this version, with this metadata."""

    version: str = ""
    metadata: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.version and not self.metadata:
            raise ValueError("instances: give a version or metadata that tells them apart")


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Send requests on `prefix` to certain `instances`: those with the header or cookie ("name" or "name=value"), or so many percent.

    Everybody else is kept away from these instances.
    """

    prefix: Prefix
    instances: Which
    header: str = ""
    cookie: str = ""
    percent: Percent = 0.0


class Sticky(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Send requests on `prefix` that have the same key to the same instance: "account", "address", "header:NAME" or "cookie:NAME"."""

    prefix: Prefix
    by: Annotated[str, Meta(pattern=r"^(account|address|(header|cookie):[A-Za-z0-9_-]+)$")]


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Send a copy of so many percent of the safe requests on `prefix` to another service or to certain instances."""

    prefix: Prefix
    percent: Percent
    service: str = ""
    instances: Which | None = None

    def __post_init__(self) -> None:
        if not self.service and self.instances is None:
            raise ValueError("shadow: name another service, or the instances that get the copies")


class Cache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is kept of answers that services allow to be kept; 0 bytes: nothing."""

    bytes: Annotated[int, Meta(ge=0)] = 64 * _MIB
    largest_bytes: Annotated[int, Meta(ge=0)] = _MIB
    wait_seconds: Annotated[float, Meta(ge=0, le=60)] = 1.0


class FaultRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Faults for so many percent of the requests on `prefix`, of all accounts or of these, and with this header if one is named."""

    prefix: Prefix
    faults: tuple[Fault, ...]
    percent: Percent = 100.0
    header: str = ""
    accounts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            checked(self.faults)
        except BadInput as error:
            raise ValueError(f"fault: {error}") from error


class Passport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that takes longer to its first byte is logged with its timeline."""

    slow_seconds: Annotated[float, Meta(gt=0)] = 5.0


class GatewayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section for each filter that can be set."""

    cors: Cors = Cors()
    compression: Compression = Compression()
    rate_limit: RateLimits = RateLimits()
    canary: tuple[Canary, ...] = ()
    sticky: tuple[Sticky, ...] = ()
    shadow: tuple[Shadow, ...] = ()
    cache: Cache = Cache()
    fault: tuple[FaultRule, ...] = ()
    passport: Passport = Passport()


def read_config(path: Path) -> GatewayConfig:
    """Read a file; one that is not there stands for the defaults. Raises GatewayConfigBroken, naming what is wrong."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=GatewayConfig)
    except FileNotFoundError:
        return GatewayConfig()
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise GatewayConfigBroken(f"{path} cannot be used: {error}; see docs/parts/filters.md.") from error
