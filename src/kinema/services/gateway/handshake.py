"""The opening handshake of a WebSocket as a server reads it (RFC 6455, 4.2)."""

import base64
import binascii

from wsproto.utilities import generate_accept_token

from kinema.core.errors import BadInput, KinemaError
from kinema.http import Exchange

PROTOCOL = b"websocket"


class UpgradeRequired(KinemaError):
    """Here is a WebSocket and nothing else (RFC 9110, 15.5.22)."""

    status = 426
    code = "upgrade-required"
    title = "A WebSocket is needed here"


def offers_websocket(exchange: Exchange) -> bool:
    """Say whether the client asks for a WebSocket."""
    return bool(exchange.offers) and PROTOCOL in [one.strip() for one in exchange.offers.split(b",")]


def accept_token(exchange: Exchange) -> bytes:
    """Return what Sec-WebSocket-Accept must say. Raises UpgradeRequired or BadInput for a handshake that is none."""
    if not offers_websocket(exchange):
        raise UpgradeRequired("Connect by WebSocket: GET in HTTP/1.1 with Upgrade: websocket and Connection: Upgrade.")
    headers = exchange.headers
    if headers.get_all(b"sec-websocket-version") != [b"13"]:
        raise UpgradeRequired("Only version 13 of the WebSocket protocol is spoken here.")
    keys = headers.get_all(b"sec-websocket-key")
    try:
        sound = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16
    except binascii.Error:
        sound = False
    if not sound:
        raise BadInput("Sec-WebSocket-Key must be 16 random bytes in base64, once.")
    return generate_accept_token(keys[0])
