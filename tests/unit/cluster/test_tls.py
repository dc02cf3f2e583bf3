import subprocess

import pytest

from kinema.cluster import tls
from kinema.core.errors import BadInput


def written(tmp_path, host="films.example.org", mode="auto", https_port=443):
    return tls.caddyfile(host, mode, home=tmp_path, gateway=8080, edge=8081, https_port=https_port)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("films.example.org", False),
        ("localhost", True),
        ("nas", True),
        ("nas.local", True),
        ("192.168.1.7", True),
        ("127.0.0.1", True),
        ("8.8.8.8", False),
        ("fd00::1", True),
    ],
)
def test_names_that_only_the_network_knows_are_told_apart(host, local):
    assert tls.is_local(host) is local


@pytest.mark.parametrize("host", ["films.example.org", "localhost", "192.168.1.7", "fd00::1"])
@pytest.mark.parametrize("https_port", [443, 8443])
def test_caddy_accepts_what_is_written(tmp_path, host, https_port):
    path = tmp_path / "Caddyfile"
    path.write_text(written(tmp_path, host, https_port=https_port))
    command = [tls.caddy_path(), "adapt", "--adapter", "caddyfile", "--config", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"disabled":true' in done.stdout.partition('"admin":')[2][:40]
    assert f'":{https_port}"' in done.stdout


def test_a_public_name_gets_its_certificate_from_a_public_authority(tmp_path):
    assert "tls internal" not in written(tmp_path)
    assert "tls internal" in written(tmp_path, "localhost")


def test_own_certificates_are_named(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.touch()
    key.touch()
    assert f'tls "{certificate}" "{key}"' in written(tmp_path, mode=f"{certificate}:{key}")


@pytest.mark.parametrize(("host", "mode"), [("a b", "auto"), ("a{b}", "auto"), ("films.example.org", "/nowhere.pem")])
def test_what_cannot_be_used_is_named(tmp_path, host, mode):
    with pytest.raises(BadInput, match=r"is no host name|There is no file '/nowhere\.pem'"):
        written(tmp_path, host, mode)
