"""Members' HTTP API. Requests that make a secret take no Idempotency-Key: its store would keep the secret readable."""

from datetime import UTC, datetime

from litestar import Response, delete, get, post, put
from litestar.datastructures import Cookie
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from kinema.core.identity import Identity
from kinema.model.members import (
    Claim,
    ClaimLink,
    Credential,
    Invitation,
    NewPassword,
    Session,
    Sessions,
    SignIn,
    Token,
    TokenRequest,
    Tokens,
    Who,
)
from kinema.rpc.service import AnyRequest, needs
from kinema.services.members.repository import SessionRow, TokenRow
from kinema.services.members.service import Members, SignedIn

COOKIE = "kinema_session"


@post("/v1/claims", operation_id="useClaim", tags=["session"], opt={"public": True})
async def use_claim(request: AnyRequest, data: Claim, members: Members) -> Response[Who]:
    """Use a claim link: makes an account of the link's role and signs it in. A link works once, within a day."""
    return _with_cookie(request, await members.claim(data.token, _client(request)))


@post("/v1/sessions", operation_id="signIn", tags=["session"], opt={"public": True})
async def sign_in(request: AnyRequest, data: SignIn, members: Members) -> Response[Who]:
    """Sign in by name and password."""
    return _with_cookie(request, await members.sign_in(data.name, data.password, _address(request), _client(request)))


@get("/v1/session", operation_id="getSession", tags=["session"])
async def get_session(identity: Identity, members: Members) -> Response[Who]:
    """Who is signed in."""
    return Response(await members.who(identity), headers={"Cache-Control": "no-store"})


@get("/v1/sessions", operation_id="listSessions", tags=["session"])
async def list_sessions(identity: Identity, members: Members) -> Sessions:
    """The browsers in which this account is signed in."""
    rows = await members.sessions(identity)
    return Sessions(sessions=tuple(_session(row, current=row.session == identity.session) for row in rows))


@delete("/v1/sessions/current", operation_id="signOut", tags=["session"])
async def sign_out(request: AnyRequest, identity: Identity, members: Members) -> Response[None]:
    """Sign out of this browser."""
    await members.sign_out(identity)
    return Response(None, status_code=204, cookies=[_cookie(request, "", 0)])


@delete("/v1/sessions/{session:str}", operation_id="endSession", tags=["session"])
async def end_session(session: FromPath[str], identity: Identity, members: Members) -> None:
    """Sign out another browser of this account; an operator, anybody's."""
    await members.end_session(identity, session)


@put("/v1/account/password", operation_id="setPassword", tags=["account"])
async def set_password(data: NewPassword, identity: Identity, members: Members) -> Who:
    """Set the name and password to sign in with; the account's other browsers are signed out."""
    return await members.set_password(identity, data)


@post("/v1/invitations", operation_id="invite", tags=["account"], guards=[needs("operator")])
async def invite(data: Invitation, members: Members) -> ClaimLink:
    """Make a claim link for somebody else. It works once, within a day, and is shown only now."""
    secret, expires_at = await members.invite(data.role)
    return ClaimLink(path=f"/claim#{secret}", expires_at=_iso(expires_at))


@get("/v1/tokens", operation_id="listTokens", tags=["tokens"], guards=[needs("operator")])
async def list_tokens(members: Members) -> Tokens:
    """The bearer tokens of scripts, without their secrets."""
    return Tokens(tokens=tuple(_token(row) for row in await members.tokens()))


@post("/v1/tokens", operation_id="createToken", tags=["tokens"], guards=[needs("operator")])
async def create_token(data: TokenRequest, members: Members) -> Token:
    """Make a bearer token for a script. The secret is shown only now."""
    row, secret = await members.new_token(data.role, data.label)
    return _token(row, secret)


@delete("/v1/tokens/{token:str}", operation_id="revokeToken", tags=["tokens"], guards=[needs("operator")])
async def revoke_token(token: FromPath[str], members: Members) -> None:
    """Revoke a bearer token; the gateway stops believing it within ten seconds."""
    await members.revoke_token(token)


@post(
    "/v1/internal/sessions/verify",
    operation_id="verifyCredential",
    tags=["internal"],
    guards=[needs("service")],
    status_code=200,
)
async def verify_credential(data: Credential, members: Members) -> Who:
    """Who carries this secret of a session or bearer token; 401 when it is unknown, expired or revoked."""
    return await members.verify(data.secret)


@get("/v1/internal/claimed", operation_id="isClaimed", tags=["internal"], guards=[needs("service")])
async def is_claimed(members: Members) -> bool:
    """Whether anybody has an account here yet; until then `kinema up` prints a claim link."""
    return await members.is_claimed()


ROUTES: tuple[ControllerRouterHandler, ...] = (
    use_claim,
    sign_in,
    get_session,
    list_sessions,
    sign_out,
    end_session,
    set_password,
    invite,
    list_tokens,
    create_token,
    revoke_token,
    verify_credential,
    is_claimed,
)


def _with_cookie(request: AnyRequest, signed_in: SignedIn) -> Response[Who]:
    cookie = _cookie(request, signed_in.secret, signed_in.seconds)
    return Response(signed_in.who, status_code=201, cookies=[cookie], headers={"Cache-Control": "no-store"})


def _cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    secure = request.headers.get("x-forwarded-proto") == "https"
    return Cookie(key=COOKIE, value=value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")


def _address(request: AnyRequest) -> str:
    """Return who is at the other end, as the gateway says, else as the connection says."""
    forwarded = request.headers.get("x-forwarded-for") or ""
    return forwarded.rpartition(",")[2].strip() or (request.client.host if request.client else "")


def _client(request: AnyRequest) -> str:
    return request.headers.get("user-agent") or ""


def _session(row: SessionRow, *, current: bool) -> Session:
    return Session(
        session=row.session,
        client=row.client,
        created_at=_iso(row.created_at),
        seen_at=_iso(row.seen_at),
        expires_at=_iso(row.expires_at),
        current=current,
    )


def _token(row: TokenRow, secret: str | None = None) -> Token:
    return Token(
        token=row.token,
        role=row.role,
        label=row.label,
        created_at=_iso(row.created_at),
        seen_at=None if row.seen_at is None else _iso(row.seen_at),
        secret=secret,
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
