"""The sockets that outlive the processes behind them.

The public ones (gateway, edge) listen in the supervisor and are handed down: while a process is being replaced, connections
queue in the kernel instead of being refused. The registries' ports are only reserved: a bound socket that does not listen
keeps the number ours, so a restarted registry comes back where everybody knows it, and until then a call is refused at
once, which sends the caller on to the other registry.
"""

import errno
import socket

from kinema.core.errors import KinemaError

BACKLOG = 1024


class PortTaken(KinemaError):
    """A port that the region needs cannot be had."""


def listen(host: str, port: int, purpose: str) -> socket.socket:
    """Open a listening socket that children can inherit. Raises PortTaken with what to do about it."""
    try:
        opened = socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
    except PermissionError as error:
        raise PortTaken(
            f"Port {port} for {purpose} needs the rights of root; choose one above 1023 with --port."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"Port {port} for {purpose} is taken by another program; stop that one or choose another with --port."
            ) from error
        raise PortTaken(f"{purpose} cannot listen on {host} port {port}: {error.strerror or error}.") from error
    opened.setblocking(False)
    return opened


def reserve(host: str = "127.0.0.1") -> socket.socket:
    """Bind a free port without listening. Whoever binds it too must set SO_REUSEPORT, and may then listen."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, 0))
    return reserved


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
