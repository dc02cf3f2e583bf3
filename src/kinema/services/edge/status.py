"""What an edge counts: for `kinema status`, the operator's console and the tests."""

import msgspec


class EdgeStatus(msgspec.Struct):
    """Counters since the start, and what the cache holds now."""

    hits: int = 0
    """Answers that began without waiting for the parent."""
    misses: int = 0
    """Slices that were asked of the parent."""
    collapsed: int = 0
    """Answers that waited for a slice which somebody else had asked for."""
    warmed: int = 0
    """Slices that a thread read from the disk again."""
    damaged: int = 0
    """Cached files that were not, or no longer, what they should be; they are fetched again."""
    failed: int = 0
    """Slices that the parent did not deliver."""
    uncached: int = 0
    """Slices passed through without being kept, because the disk had no room."""
    evicted: int = 0
    """Slices that left the cache to make room."""
    refused: int = 0
    """Requests without a valid token."""
    bytes_sent: int = 0
    """Bytes of media handed to clients."""
    slices: int = 0
    """Slices held now."""
    bytes_held: int = 0
    """Their size."""
    bytes_limit: int = 0
    """How much the cache may hold."""
