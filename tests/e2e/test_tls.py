"""A region behind a real Caddy on loopback, with Caddy's own authority."""

import json
import ssl
import urllib.error
import urllib.request

import pytest

from tests.support.regions import RegionUnderTest, free_port, wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def secure(tmp_path):
    port = free_port()
    region = RegionUnderTest(tmp_path / "data", "--host", "localhost", "--tls", "auto", "--https-port", str(port))
    region.https = f"https://localhost:{port}"
    try:
        yield region.start()
    finally:
        region.stop()


def opened(region, path, body=None, **headers):
    root = region.data_dir / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    context = ssl.create_default_context(cafile=str(root))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(region.https + path, data=body, headers=named)
    try:
        return urllib.request.urlopen(request, context=context, timeout=10)
    except urllib.error.HTTPError as error:
        return error


def healthy(region):
    try:
        return opened(region, "/healthz").status == 200
    except (OSError, ssl.SSLError):
        return False


def test_pages_calls_and_media_come_through_tls(secure):
    assert secure.address.startswith(f"{secure.https}/claim#")
    wait_until(lambda: healthy(secure), 20, "an answer through Caddy")

    claimed = opened(
        secure,
        "/v1/claims",
        json.dumps({"token": secure.address.partition("#")[2]}).encode(),
        content_type="application/json",
        origin=secure.https,
    )
    assert claimed.status == 201, claimed.read()
    cookie = claimed.headers["set-cookie"].lower()
    assert "secure" in cookie
    assert "httponly" in cookie

    media = opened(secure, "/m/no.good.token/ast_1/1/video-360p")
    assert media.status == 403
    assert media.headers["content-type"] == "application/problem+json"

    caddy = secure.pid("caddy")
    assert caddy
    secure.kill("caddy")
    secure.wait_replaced("caddy", caddy)
    wait_until(lambda: healthy(secure), 10, "an answer through the new Caddy")
    assert secure.interrupt() < 5
    assert secure.processes_left() == []
