"""One asyncio HTTP/1.1 core: a server and a pooled client, for the edge, the gateway and rpc."""

from kinema.http.errors import ConnectFailed, ConnectionLost, Disconnected, PoolFull, ResponseInvalid, TimedOut
from kinema.http.exchange import Exchange
from kinema.http.files import MappedFile
from kinema.http.headers import Fields, Headers, end_to_end
from kinema.http.heads import Head, encode_head
from kinema.http.limits import ClientLimits, Limits
from kinema.http.server import Handler, Server
from kinema.http.tasks import spawn

__all__ = [
    "ClientLimits",
    "ConnectFailed",
    "ConnectionLost",
    "Disconnected",
    "Exchange",
    "Fields",
    "Handler",
    "Head",
    "Headers",
    "Limits",
    "MappedFile",
    "PoolFull",
    "ResponseInvalid",
    "Server",
    "TimedOut",
    "encode_head",
    "end_to_end",
    "spawn",
]
