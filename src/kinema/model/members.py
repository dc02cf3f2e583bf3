"""What `members` tells the others: who somebody is, and what signs them in."""

from typing import Literal

import msgspec

MemberRole = Literal["viewer", "operator"]


class Who(msgspec.Struct, frozen=True):
    """Somebody who is signed in. `name` is empty until a name and a password are set."""

    account: str
    role: MemberRole
    session: str
    name: str = ""


class Credential(msgspec.Struct, frozen=True):
    """What the gateway found on a request: a session cookie's value or a bearer token."""

    secret: str


class Claim(msgspec.Struct, frozen=True):
    """The one-time token of a claim link."""

    token: str


class SignIn(msgspec.Struct, frozen=True):
    """A name and a password."""

    name: str
    password: str


class Invitation(msgspec.Struct, frozen=True):
    """A role to invite somebody with."""

    role: MemberRole


class ClaimLink(msgspec.Struct, frozen=True):
    """Path and fragment of a claim link, and its expiry as an ISO 8601 time in UTC."""

    path: str
    expires_at: str
