"""Keys, signatures, identities and media tokens."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core import identity, media_token
from kinema.core.errors import Forbidden, Unauthenticated
from kinema.core.keys import Key, KeyFileBroken, KeyRing
from kinema.core.signing import BadSignature, sign, verify

NOW = 1_700_000_000.0
KEY = Key("k1", b"0" * 32)


def find(key_id):
    return KEY if key_id == KEY.id else None


@given(st.binary(max_size=200))
def test_what_was_signed_is_verified(payload):
    assert verify(sign(payload, KEY), find) == payload


@given(st.binary(max_size=60), st.data())
def test_any_changed_character_is_refused(payload, data):
    text = sign(payload, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[at]))
    with pytest.raises(BadSignature):
        verify(text[:at] + other + text[at + 1 :], find)


@given(st.text(max_size=100))
def test_no_text_breaks_the_verifier(text):
    with pytest.raises(BadSignature):
        verify(text, find)


def test_key_files_are_private(tmp_path):
    KeyRing(tmp_path).current("media")
    assert stat.S_IMODE((tmp_path / "keys" / "media.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        rings = [KeyRing(tmp_path) for _ in range(8)]
        ids = {key.id for key in pool.map(lambda ring: ring.current("media"), rings)}
    assert len(ids) == 1


def test_a_rotated_key_signs_and_the_old_one_still_verifies(tmp_path):
    ring = KeyRing(tmp_path)
    old = ring.current("media")
    new = KeyRing(tmp_path).rotate("media")
    assert KeyRing(tmp_path).current("media") == new
    assert ring.find("media", old.id) == old


def test_what_is_signed_right_after_a_rotation_is_verified_everywhere(tmp_path):
    gateway, service = KeyRing(tmp_path), KeyRing(tmp_path)
    service.current("identity")  # it has read the file this very moment
    new = gateway.rotate("identity")
    assert service.find("identity", new.id) == new


def test_a_key_is_dropped_after_three_rotations(tmp_path):
    ring = KeyRing(tmp_path)
    first = ring.current("media")
    for _ in range(3):
        ring.rotate("media")
    assert KeyRing(tmp_path).find("media", first.id) is None


def test_purposes_do_not_share_keys(tmp_path):
    ring = KeyRing(tmp_path)
    assert ring.find("identity", ring.current("media").id) is None


def test_a_broken_key_file_is_named(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "media.json").write_text("{")
    with pytest.raises(KeyFileBroken, match=r"media\.json"):
        KeyRing(tmp_path).current("media")


def test_an_identity_comes_back_until_it_expires(tmp_path):
    keys = KeyRing(tmp_path)
    who = identity.Identity("acc_1", "viewer", "ses_1", NOW + 60)
    text = identity.seal(who, keys)
    assert identity.unseal(text, keys, NOW) == who
    with pytest.raises(Unauthenticated):
        identity.unseal(text, keys, NOW + 60)


def test_a_media_token_is_not_an_identity(tmp_path):
    keys = KeyRing(tmp_path)
    text = media_token.seal(media_token.MediaToken("ast_1", "acc_1", int(NOW) + 60), keys)
    with pytest.raises(Unauthenticated):
        identity.unseal(text, keys, NOW)


@pytest.mark.parametrize(
    ("asset", "now", "sentence"), [("ast_2", NOW, "another asset"), ("ast_1", NOW + 61, "expired")]
)
def test_a_media_token_holds_for_one_asset_and_time(tmp_path, asset, now, sentence):
    keys = KeyRing(tmp_path)
    text = media_token.seal(media_token.MediaToken("ast_1", "acc_1", int(NOW) + 60), keys)
    assert media_token.unseal(text, keys, "ast_1", NOW).member == "acc_1"
    with pytest.raises(Forbidden, match=sentence):
        media_token.unseal(text, keys, asset, now)


def test_roles_are_ordered():
    operator = identity.Identity("acc_1", "operator", "ses_1", NOW)
    operator.require("viewer")
    with pytest.raises(Forbidden):
        operator.require("service")
