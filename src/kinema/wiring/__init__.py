"""The one place where engines meet services: it builds what a process carries and runs it until it is told to stop.

A cell is one plain asyncio loop with a uvicorn server for each service instance, each on a port of its own. The gateway and
the edge are data planes: uvloop and `kinema.http`. Whatever a process carries, it registers with discovery when it can
answer and signs off before it stops. Nothing heavy is imported before it is known to be needed.

    placement    what a process is told            services    how each service is built: adding one is one row
    parts        what its services share           serving     sockets, and being known to discovery
    observing    what it shows of itself           processes   what it does from start to stop
    inside       what the command line needs
"""

from kinema.wiring.placement import Placement

__all__ = ["Placement"]
