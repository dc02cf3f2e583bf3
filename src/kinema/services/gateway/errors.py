"""What the gateway alone can find wrong."""

from kinema.core.errors import KinemaError


class BadGateway(KinemaError):
    """The service behind us could not be reached or did not answer properly (RFC 9110, 15.6.3)."""

    status = 502
    code = "bad-gateway"
    title = "The service did not answer"
