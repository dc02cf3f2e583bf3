"""What can go wrong when another server is called, or a client of ours is read.

KinemaError
├── Unavailable 503
│   ├── ConnectFailed      no connection: refused, unreachable, no such socket, or not within the connect time
│   ├── PoolFull           as many calls wait for a connection to this origin as may wait
│   ├── ConnectionLost     the connection ended before the response did
│   └── ResponseInvalid    what came back is not HTTP/1.1, or is framed in a way that is refused
├── DeadlineExceeded 504
│   └── TimedOut           the call's own time was used up
└── Disconnected           the client of an exchange went away; nobody is left to read an answer
"""

from kinema.core.errors import DeadlineExceeded, KinemaError, Unavailable


class ConnectFailed(Unavailable):
    """No connection to the origin could be made; nothing was sent, so any call may be tried elsewhere."""

    code = "connect-failed"


class PoolFull(Unavailable):
    """Too many calls already wait for a connection to the origin; nothing was sent."""

    code = "pool-full"


class ConnectionLost(Unavailable):
    """The connection ended before the response did. `before_head`: not one byte of a response had arrived."""

    code = "connection-lost"

    def __init__(self, detail: str, *, before_head: bool = False) -> None:
        super().__init__(detail)
        self.before_head = before_head


class ResponseInvalid(Unavailable):
    """The bytes that came back are not a response that can be trusted."""

    code = "response-invalid"


class TimedOut(DeadlineExceeded):
    """The response was not complete when the call's time was used up."""

    code = "timed-out"


class Disconnected(KinemaError):
    """The client went away before its request was complete."""

    status = 400
    code = "client-disconnected"
    title = "The client went away"
