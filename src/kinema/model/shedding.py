"""What a load shedder tells of itself."""

import msgspec


class SheddingState(msgspec.Struct, frozen=True):
    """`pressure` is the present one (1: as much as can be done), `standing_delay` in seconds.

    `admitted` and `shed` count requests by class (`core.priority`) since the process began.
    """

    pressure: float
    in_flight: int
    limit: int
    standing_delay: float
    admitted: dict[str, int]
    shed: dict[str, int]
