"""What `members` tells the others: who somebody is, and what signs them in."""

from typing import Annotated, Literal

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


class NewPassword(msgspec.Struct, frozen=True):
    """A name and a password to sign in with from now on; `current` is the present password, when one is set."""

    name: str
    password: str
    current: str = ""


class Session(msgspec.Struct, frozen=True):
    """A signed-in browser; `current` marks the one that asks. Times are ISO 8601 in UTC, `seen_at` to the hour."""

    session: str
    client: str
    created_at: str
    seen_at: str
    expires_at: str
    current: bool


class Sessions(msgspec.Struct, frozen=True):
    """An account's sessions, the newest first."""

    sessions: tuple[Session, ...]


class TokenRequest(msgspec.Struct, frozen=True):
    """A bearer token to make: its role, and what it is for."""

    role: MemberRole
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Token(msgspec.Struct, frozen=True):
    """A bearer token. `secret` is there only in the answer that made it; times are ISO 8601 in UTC, `seen_at` to the hour."""

    token: str
    role: MemberRole
    label: str
    created_at: str
    seen_at: str | None
    secret: str | None = None


class Tokens(msgspec.Struct, frozen=True):
    """All bearer tokens, the newest first."""

    tokens: tuple[Token, ...]
