"""Why a title is not published."""

from kinema.core.errors import KinemaError


class NotVerified(KinemaError):
    """A track that was made is not fit to be published. Its steps are in the ledger, so repeating would not better it."""
