"""One asyncio HTTP/1.1 core: a server and a pooled client, for the edge, the gateway and rpc."""

from kinema.http.call import Call, Sink, Upload
from kinema.http.client import Client, Incoming, Response
from kinema.http.errors import ConnectFailed, ConnectionLost, Disconnected, PoolFull, ResponseInvalid, TimedOut
from kinema.http.exchange import Exchange
from kinema.http.headers import Fields, Headers, encode_fields, end_to_end
from kinema.http.heads import Head, encode_head
from kinema.http.limits import ClientLimits, Limits, TunnelLimits
from kinema.http.server import Handler, Server
from kinema.http.tasks import spawn
from kinema.http.tunnel import Tunnel

__all__ = [
    "Call",
    "Client",
    "ClientLimits",
    "ConnectFailed",
    "ConnectionLost",
    "Disconnected",
    "Exchange",
    "Fields",
    "Handler",
    "Head",
    "Headers",
    "Incoming",
    "Limits",
    "PoolFull",
    "Response",
    "ResponseInvalid",
    "Server",
    "Sink",
    "TimedOut",
    "Tunnel",
    "TunnelLimits",
    "Upload",
    "encode_fields",
    "encode_head",
    "end_to_end",
    "spawn",
]
