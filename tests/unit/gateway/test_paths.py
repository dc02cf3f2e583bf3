"""Which paths are let in."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.services.gateway.paths import check_path
from kinema.services.gateway.routes import prefix_of


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/titles",
        "/v1/titles/",
        "/v1/m/a.b_c~d/1/hls.m3u8",
        "/title/caf%C3%A9",
        "/.well-known/x",
        "/a/..b",
        "/a%20b",
    ],
)
def test_plain_paths_pass(path):
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "x", "*", "/..", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.%2E", "/a//b", "//a", "/a%2fb", "/a%5Cb", "/a\\b",
        "/a%00b", "/a%0ab", "/a%zz", "/a%2", "/a b", "/a\x7f", "/café",
    ],
)  # fmt: skip
def test_unclear_paths_are_refused(path):
    with pytest.raises(BadInput):
        check_path(path)


@given(st.text(st.sampled_from("ab/.%2efF5cC\\0 "), max_size=20))
def test_what_passes_stays_inside(path):
    try:
        check_path(path)
    except BadInput:
        return
    once = unquote(path)
    assert path.startswith("/")
    assert ".." not in once.split("/")
    assert "." not in once.split("/")
    assert once.count("/") == path.count("/")


def test_the_prefix_is_whole_segments():
    assert prefix_of("/v1/titles") == "/v1/titles"
    assert prefix_of("/v1/titles/x/y") == "/v1/titles"
    assert prefix_of("/v1/titlesx/y") == "/v1/titlesx"
    assert prefix_of("/healthz") == "/healthz"
    assert prefix_of("/assets/x.js") == "/assets"
