"""Accounts, sessions and tokens through the real app, two instances on one SQLite file."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager

import httpx
import pytest
from argon2 import PasswordHasher

from kinema.core.keys import KeyRing
from kinema.services.members.app import create_members
from kinema.services.members.minting import is_claimed, mint_claim, mint_token
from kinema.services.members.passwords import Passwords
from kinema.storage.engines import open_sql
from tests.support.services import StoppedClock, as_, running

PASSWORD = "a long enough password"


def cheap():
    """Real argon2id that costs little: what it costs is not the subject here."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


class Club:
    def __init__(self, path):
        self.path = path
        self.clock = StoppedClock()
        self.keys = KeyRing(path)

    def app(self, number, sql):
        return create_members(
            instance=f"members-{number}",
            sql=sql,
            keys=self.keys,
            clock=self.clock,
            session_days=90,
            passwords=cheap(),
        )

    def as_(self, who, role=None):
        return as_(role or who["role"], self.keys, self.clock, who["account"], who["session"])

    @property
    def service(self):
        return as_("service", self.keys, self.clock)

    async def claim(self, role="operator", **headers):
        token = await mint_claim(self.sql, self.clock, role)
        answer = await self.first.post("/v1/claims", json={"token": token}, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json(), answer.cookies.get("kinema_session"), answer

    async def verify(self, secret):
        return await self.second.post("/v1/internal/sessions/verify", json={"secret": secret}, headers=self.service)

    async def sign_in(self, name, password=PASSWORD, address="192.0.2.1"):
        body = {"name": name, "password": password}
        return await self.first.post("/v1/sessions", json=body, headers={"x-forwarded-for": address})


@asynccontextmanager
async def opened(path, sql_url=""):
    club = Club(path)
    club.sql, other = open_sql(path, sql_url, "members"), open_sql(path, sql_url, "members")
    async with running(club.app(1, club.sql)) as first, running(club.app(2, other)) as second:
        # Each test says for itself which cookie it sends.
        club.first, club.second = first, second
        first.cookies = second.cookies = httpx.Cookies()
        yield club
    await club.sql.close()
    await other.close()


@pytest.fixture
async def club(tmp_path):
    async with opened(tmp_path) as club:
        yield club


async def test_a_claim_makes_an_account_and_signs_it_in(club):
    assert not await is_claimed(club.sql)
    who, cookie, answer = await club.claim()
    assert await is_claimed(club.sql)
    assert who["role"] == "operator"
    assert (
        answer.headers["set-cookie"].lower().replace(" ", "").endswith("httponly;max-age=7776000;path=/;samesite=lax")
    )
    seen = await club.verify(cookie)
    assert seen.status_code == 200
    assert seen.json() == who


async def test_the_cookie_is_secure_behind_tls(club):
    _, _, answer = await club.claim(**{"x-forwarded-proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


async def test_a_claim_works_once_even_when_many_try(club):
    token = await mint_claim(club.sql, club.clock, "viewer")
    clients = [club.first, club.second] * 8
    answers = await asyncio.gather(*(client.post("/v1/claims", json={"token": token}) for client in clients))
    assert sorted(answer.status_code for answer in answers) == [201] + [410] * 15


async def test_a_claim_expires_after_a_day(club):
    token = await mint_claim(club.sql, club.clock, "viewer")
    club.clock.shift += 24 * 3600 + 1
    assert (await club.first.post("/v1/claims", json={"token": token})).status_code == 410
    assert (await club.first.post("/v1/claims", json={"token": "unknown"})).status_code == 404


async def test_no_secret_is_in_the_database(club):
    who, cookie, _ = await club.claim()
    bearer = await mint_token(club.sql, club.clock, "operator")
    claim = await mint_claim(club.sql, club.clock, "viewer")
    await club.first.put("/v1/account/password", json={"name": "Ada", "password": PASSWORD}, headers=club.as_(who))
    dump = "\n".join(sqlite3.connect(club.path / "sql" / "members.db").iterdump())
    for secret in (cookie, bearer, claim, bearer.removeprefix("kin_"), PASSWORD):
        assert secret not in dump


async def test_a_session_expires(club):
    _, cookie, _ = await club.claim()
    club.clock.shift += 90 * 86400 + 1
    answer = await club.verify(cookie)
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


async def test_signing_out_ends_the_session(club):
    who, cookie, _ = await club.claim()
    answer = await club.first.delete("/v1/sessions/current", headers=club.as_(who))
    assert answer.status_code == 204
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert (await club.verify(cookie)).status_code == 401


async def test_only_services_may_verify(club):
    who, cookie, _ = await club.claim()
    answer = await club.first.post("/v1/internal/sessions/verify", json={"secret": cookie}, headers=club.as_(who))
    assert answer.status_code == 403
    assert (await club.first.post("/v1/internal/sessions/verify", json={"secret": cookie})).status_code == 401


async def test_signing_in_by_name_and_password(club):
    who, _, _ = await club.claim()
    body = {"name": "  Ada\tLovelace ", "password": PASSWORD}
    set_ = await club.first.put("/v1/account/password", json=body, headers=club.as_(who))
    assert set_.status_code == 200
    assert set_.json()["name"] == "Ada Lovelace"
    answer = await club.sign_in("ADA lovelace")
    assert answer.status_code == 201
    assert answer.json()["account"] == who["account"]
    assert answer.json()["session"] != who["session"]
    wrong = await club.sign_in("ada lovelace", "not this one")
    unknown = await club.sign_in("nobody", "not this one")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


async def test_attempts_are_limited_by_name_and_by_address(club):
    codes = [(await club.sign_in("ada", "wrong password", "203.0.113.5")).status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert (await club.sign_in("ada", "wrong password", "203.0.113.6")).status_code == 401, "no stranger locks Ada out"
    codes = [(await club.sign_in(f"name {number}", "wrong", "198.51.100.7")).status_code for number in range(32)]
    assert codes[:30] == [401] * 30
    assert 429 in codes[30:]
    club.clock.shift += 31
    assert (await club.sign_in("ada", "wrong password")).status_code == 401


async def test_a_new_password_needs_the_old_one_and_ends_other_sessions(club):
    who, first_cookie, _ = await club.claim()
    body = {"name": "Ada", "password": PASSWORD}
    assert (await club.first.put("/v1/account/password", json=body, headers=club.as_(who))).status_code == 200
    other = await club.sign_in("Ada")
    other_cookie = other.cookies.get("kinema_session")
    change = {"name": "Ada", "password": "another long password"}
    assert (await club.first.put("/v1/account/password", json=change, headers=club.as_(who))).status_code == 403
    change["current"] = PASSWORD
    assert (await club.first.put("/v1/account/password", json=change, headers=club.as_(who))).status_code == 200
    assert (await club.verify(first_cookie)).status_code == 200
    assert (await club.verify(other_cookie)).status_code == 401
    assert (await club.sign_in("Ada")).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "password": PASSWORD},
        {"name": "x" * 65, "password": PASSWORD},
        {"name": "a\u0000b", "password": PASSWORD},
        {"name": "Ada", "password": "short"},
        {"name": "Ada", "password": "x" * 257},
    ],
)
async def test_names_and_passwords_that_cannot_be_chosen(club, body):
    who, _, _ = await club.claim()
    answer = await club.first.put("/v1/account/password", json=body, headers=club.as_(who))
    assert answer.status_code == 400
    assert "choose another one" in answer.json()["detail"]


async def test_a_name_belongs_to_one_account(club):
    ada, _, _ = await club.claim()
    eve, _, _ = await club.claim("viewer")
    body = {"name": "Ada", "password": PASSWORD}
    assert (await club.first.put("/v1/account/password", json=body, headers=club.as_(ada))).status_code == 200
    body["name"] = "ADA"
    assert (await club.first.put("/v1/account/password", json=body, headers=club.as_(eve))).status_code == 409


async def test_bearer_tokens_are_listed_and_revoked(club):
    who, _, _ = await club.claim()
    made = await club.first.post("/v1/tokens", json={"role": "viewer", "label": "backup"}, headers=club.as_(who))
    assert made.status_code == 201
    secret, token = made.json()["secret"], made.json()["token"]
    assert secret.startswith("kin_")
    seen = (await club.verify(secret)).json()
    assert (seen["account"], seen["role"], seen["name"]) == (token, "viewer", "backup")
    listed = (await club.second.get("/v1/tokens", headers=club.as_(who))).json()["tokens"]
    assert [(one["token"], one["label"], one["secret"]) for one in listed] == [(token, "backup", None)]
    assert listed[0]["seen_at"] is not None
    assert (await club.first.delete(f"/v1/tokens/{token}", headers=club.as_(who))).status_code == 204
    assert (await club.verify(secret)).status_code == 401
    assert (await club.first.delete(f"/v1/tokens/{token}", headers=club.as_(who))).status_code == 404


async def test_the_command_line_mints_tokens_beside_a_running_region(club):
    secret = await mint_token(club.sql, club.clock, "operator")
    assert (await club.verify(secret)).json()["role"] == "operator"
    assert (await club.verify("kin_nothing")).status_code == 401


async def test_viewers_invite_nobody(club):
    viewer, _, _ = await club.claim("viewer")
    for method, path, body in (
        ("POST", "/v1/invitations", {"role": "operator"}),
        ("GET", "/v1/tokens", None),
        ("POST", "/v1/tokens", {"role": "operator", "label": "x"}),
    ):
        assert (await club.first.request(method, path, json=body, headers=club.as_(viewer))).status_code == 403


async def test_an_invitation_gives_its_role(club):
    operator, _, _ = await club.claim()
    link = await club.first.post("/v1/invitations", json={"role": "viewer"}, headers=club.as_(operator))
    assert link.status_code == 201
    path, _, token = link.json()["path"].partition("#")
    assert path == "/claim"
    assert (await club.second.post("/v1/claims", json={"token": token})).json()["role"] == "viewer"


async def test_sessions_are_listed_and_ended_by_their_owner_or_an_operator(club):
    ada, ada_cookie, _ = await club.claim("viewer", **{"user-agent": "Browser\x7f 1"})
    eve, _, _ = await club.claim("viewer")
    operator, _, _ = await club.claim()
    listed = (await club.first.get("/v1/sessions", headers=club.as_(ada))).json()["sessions"]
    assert [(one["session"], one["client"], one["current"]) for one in listed] == [(ada["session"], "Browser 1", True)]
    path = f"/v1/sessions/{ada['session']}"
    assert (await club.first.delete(path, headers=club.as_(eve))).status_code == 404
    assert (await club.verify(ada_cookie)).status_code == 200
    assert (await club.first.delete(path, headers=club.as_(operator))).status_code == 204
    assert (await club.verify(ada_cookie)).status_code == 401


async def test_who_am_i(club):
    who, _, _ = await club.claim()
    answer = await club.first.get("/v1/session", headers=club.as_(who))
    assert answer.json() == who
    assert answer.headers["cache-control"] == "no-store"
    assert (await club.first.get("/v1/session")).status_code == 401
    gone = {"account": "acc_gone", "session": "ses_gone", "role": "viewer"}
    assert (await club.first.get("/v1/session", headers=club.as_(gone))).status_code == 401


async def test_last_seen_is_written_at_most_once_an_hour(club):
    who, cookie, _ = await club.claim()

    async def seen_at():
        listed = await club.first.get("/v1/sessions", headers=club.as_(who))
        return listed.json()["sessions"][0]["seen_at"]

    before = await seen_at()
    club.clock.shift += 1800
    await club.verify(cookie)
    assert await seen_at() == before
    club.clock.shift += 1900
    await club.verify(cookie)
    assert await seen_at() > before
