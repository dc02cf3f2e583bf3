"""What an instance says of itself when it registers by Eureka's contract, checked, without how it was written.

Eureka names the fields (`InstanceInfo`, `LeaseInfo`, `DataCenterInfo` of its client); which of them must be there, and
what the others are when they are not, is also Eureka's. The limits are ours: a registry must stay as small as its
instances are many.
"""

import re

import msgspec

from kinema.core.errors import BadInput, TooLarge

RENEWAL_SECONDS = 30
DURATION_SECONDS = 90
_LONGEST_LEASE = 86_400
_LATEST_CLOCK = 86_400_000  # milliseconds that a registrant's clock may be ahead of ours
_NAME_CHARACTERS = 255
_TEXT_CHARACTERS = 2_048
_VIRTUAL_ADDRESSES = 50
_METADATA_KEYS = 256
_METADATA_CHARACTERS = 32_768

# XML 1.0 has no way to write these (section 2.2): one of them in one instance would make the list unreadable for everybody.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Port(msgspec.Struct, frozen=True):
    """A port's number, and whether it is in use."""

    number: int
    enabled: bool


class DataCenter(msgspec.Struct, frozen=True):
    """Where an instance runs: "MyOwn", "Netflix" or "Amazon"; the last has metadata such as availability-zone."""

    name: str
    metadata: dict[str, str] = {}


class Registrant(msgspec.Struct, frozen=True, kw_only=True):
    """An instance in its own words. None: it did not say. Timestamps are in milliseconds since the Unix epoch."""

    app: str
    id: str
    host_name: str
    ip_address: str
    status: str = "UP"
    overridden_status: str = "UNKNOWN"
    port: Port = Port(7001, enabled=True)
    secure_port: Port = Port(7002, enabled=False)
    vip: str | None = None
    secure_vip: str | None = None
    country: int = 1
    sid: str | None = None
    group: str | None = None
    home_page_url: str | None = None
    status_page_url: str | None = None
    health_check_url: str | None = None
    secure_health_check_url: str | None = None
    scaling_group: str | None = None
    data_center: DataCenter = DataCenter("MyOwn")
    renewal_seconds: int = RENEWAL_SECONDS
    duration_seconds: int = DURATION_SECONDS
    metadata: dict[str, str] = {}
    last_dirty: int = 0
    last_updated: int = 0

    @property
    def characters(self) -> int:
        """How many characters it has to say: what it weighs in memory."""
        texts = [value for name in self.__struct_fields__ if isinstance(value := getattr(self, name), str)]
        maps = (*self.metadata.items(), *self.data_center.metadata.items())
        return sum(map(len, texts)) + sum(len(key) + len(value) for key, value in maps)

    @property
    def vips(self) -> tuple[str, ...]:
        """The virtual addresses under which it is looked for."""
        return tuple(self.vip.split(",")) if self.vip else ()

    @property
    def secure_vips(self) -> tuple[str, ...]:
        """The secure virtual addresses under which it is looked for."""
        return tuple(self.secure_vip.split(",")) if self.secure_vip else ()


def check_registrant(one: Registrant, app: str, now_ms: int) -> None:
    """Raise BadInput or TooLarge unless the registry can take this registrant for the application `app`."""
    missing = (
        ("instanceId", one.id),
        ("hostname", one.host_name),
        ("ip address", one.ip_address),
        ("appName", one.app),
    )
    for name, value in missing:
        if not value:
            raise BadInput(f"Missing {name}; a registration has an instanceId, a hostName, an ipAddr and an app.")
        _check_text(name, value, _NAME_CHARACTERS)
    if one.app != app:
        raise BadInput(f"Mismatched appName, expecting {app} but was {one.app}.")
    if not one.data_center.name:
        raise BadInput("Missing dataCenterInfo Name; most say MyOwn.")
    for port in (one.port, one.secure_port):
        if not 0 <= port.number < 65_536:
            raise BadInput(f"The port {port.number} is not from 0 to 65535.")
    if one.duration_seconds > _LONGEST_LEASE or one.renewal_seconds > _LONGEST_LEASE:
        raise BadInput(
            f"A lease of {max(one.duration_seconds, one.renewal_seconds)} s is over a day; choose a shorter one."
        )
    check_timestamp("lastDirtyTimestamp", one.last_dirty, now_ms)
    for name in one.__struct_fields__:
        value = getattr(one, name)
        if isinstance(value, str):
            _check_text(name, value, _TEXT_CHARACTERS)
    if len(one.vips) + len(one.secure_vips) > _VIRTUAL_ADDRESSES:
        raise TooLarge(f"The instance has over {_VIRTUAL_ADDRESSES} virtual addresses; give it fewer.")
    check_metadata(one.metadata)
    check_metadata(one.data_center.metadata)


def check_metadata(metadata: dict[str, str]) -> None:
    """Raise TooLarge or BadInput unless an instance may have this metadata."""
    size = sum(len(key) + len(value) for key, value in metadata.items())
    if len(metadata) > _METADATA_KEYS or size > _METADATA_CHARACTERS:
        raise TooLarge(
            f"The metadata has {len(metadata)} entries and {size} characters;"
            f" an instance may have {_METADATA_KEYS} and {_METADATA_CHARACTERS}."
        )
    for key, value in metadata.items():
        if not key:
            raise BadInput("An entry of the metadata has no name; give it one.")
        _check_text("metadata", key, _NAME_CHARACTERS)
        _check_text("metadata", value, _METADATA_CHARACTERS)


def check_timestamp(name: str, value: int, now_ms: int) -> None:
    """Raise BadInput unless a timestamp can be one: milliseconds, not before 1970 and not a day ahead of our clock."""
    if not 0 <= value <= now_ms + _LATEST_CLOCK:
        raise BadInput(
            f"The {name} {value} is not a time in milliseconds up to now ({now_ms}); set the clock of the instance."
        )


def _check_text(name: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise TooLarge(f"The {name} has {len(value)} characters; at most {longest} are taken.")
    if found := _UNWRITABLE.search(value):
        raise BadInput(f"The {name} has the character U+{ord(found[0]):04X}, which XML cannot carry; leave it out.")
