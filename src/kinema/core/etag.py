"""Entity tags (RFC 9110 section 8.8.3): how a condition of a request names them."""


def matches(if_none_match: str, etag: str) -> bool:
    """Say whether a list of entity tags names this one, by weak comparison (RFC 9110 section 8.8.3.2)."""
    if if_none_match.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == f'"{etag}"' for candidate in if_none_match.split(","))
