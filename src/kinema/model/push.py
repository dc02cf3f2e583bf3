"""What is pushed to members' devices: messages for the delivery API, its answers, and what a gateway holds."""

from typing import Annotated, Literal

import msgspec

from kinema.model.members import MemberRole

MessageType = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", max_length=64)]
DeviceId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~-]{8,64}$")]
Account = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CollapseKey = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,64}$")]
Transport = Literal["sse", "websocket"]

LONGEST_SECONDS_TO_LIVE = 24 * 3600


class ToEverybody(msgspec.Struct, frozen=True, tag_field="kind", tag="everybody", forbid_unknown_fields=True):
    """All devices."""


class ToRole(msgspec.Struct, frozen=True, tag_field="kind", tag="role", forbid_unknown_fields=True):
    """The devices of everybody with this role."""

    role: MemberRole


class ToAccount(msgspec.Struct, frozen=True, tag_field="kind", tag="account", forbid_unknown_fields=True):
    """All devices of an account."""

    account: Account


class ToDevice(msgspec.Struct, frozen=True, tag_field="kind", tag="device", forbid_unknown_fields=True):
    """One device of an account, by the id that it gave itself."""

    account: Account
    device: DeviceId


Target = ToEverybody | ToRole | ToAccount | ToDevice


class PushMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message for devices. `data` is any JSON of at most 4 KiB.

    It goes to the devices that are connected now and, for `seconds_to_live`, to those that come back: of messages with the
    same target and `collapse_key` only the newest is kept for them.
    """

    to: Target
    type: MessageType
    data: msgspec.Raw = msgspec.Raw(b"{}")
    seconds_to_live: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_SECONDS_TO_LIVE)] = 0
    collapse_key: CollapseKey | None = None


class PushReport(msgspec.Struct, frozen=True):
    """What became of a message: how many devices took it, from how many gateways; `unreached` gateways did not answer."""

    message_id: str
    devices: int
    gateways: int
    unreached: int


class HandedMessage(msgspec.Struct, frozen=True):
    """A message on its way between gateways. Those with the same `key` are one; their `digest` must be the same too."""

    message: PushMessage
    message_id: str
    expires_at: float
    key: str
    digest: str


class Taken(msgspec.Struct, frozen=True):
    """What one gateway did with a message: the id under which its devices got it, and how many did."""

    message_id: str
    devices: int


class MoveAddresses(msgspec.Struct, frozen=True):
    """The addresses to which a `move` message may send a browser, beside those under its own host name."""

    addresses: tuple[str, ...]


class TransportState(msgspec.Struct, frozen=True):
    """One way of reaching devices: connections that are open, and that were opened since the process began."""

    transport: Transport
    open: int
    opened: int


class PushState(msgspec.Struct, frozen=True):
    """What one gateway's push holds and has done. Counts grow from the start of the process.

    `delivered` counts messages by device; `dropped` says how many connections were cut, by reason.
    """

    transports: tuple[TransportState, ...]
    accounts: int
    kept: int
    messages: int
    delivered: int
    repeated: int
    dropped: dict[str, int]
