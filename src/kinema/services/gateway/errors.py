"""What the gateway alone can find wrong."""

from kinema.core.errors import DeadlineExceeded, KinemaError, Unavailable
from kinema.http import ConnectFailed, ConnectionLost, PoolFull, ResponseInvalid, TimedOut


class BadGateway(KinemaError):
    """The service behind us could not be reached or did not answer properly (RFC 9110, 15.6.3)."""

    status = 502
    code = "bad-gateway"
    title = "The service did not answer"


def as_gateway(error: KinemaError, service: str) -> KinemaError:
    """Say of a failed call what a client can use, without addresses of instances."""
    if isinstance(error, ConnectFailed):
        return BadGateway(f"The {service} service cannot be reached right now; try again in a moment.")
    if isinstance(error, ConnectionLost):
        return BadGateway(f"The {service} service went away before it answered; try again in a moment.")
    if isinstance(error, ResponseInvalid):
        return BadGateway(f"The {service} service gave an answer that cannot be used; tell the operator.")
    if isinstance(error, PoolFull):
        return Unavailable(f"The {service} service is busy; try again in a moment.")
    if isinstance(error, TimedOut):
        return DeadlineExceeded(f"The {service} service did not answer in time; try again.")
    return error
