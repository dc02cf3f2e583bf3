"""How good an encode looks beside its source, by VMAF (Netflix): 0 is unwatchable, 100 cannot be told apart.

The model is a part of every score, because the numbers of two models mean different things.
"""

from enum import StrEnum

import msgspec


class Model(StrEnum):
    """The viewing that a score is for; the value is its name in manifests and reports."""

    PHONE = "vmaf-v0.6.1-phone"
    HD = "vmaf-v0.6.1"
    UHD = "vmaf-4k-v0.6.1"


class Score(msgspec.Struct, frozen=True):
    """The quality of some pictures: mean, harmonic mean, the worst second's mean, and the mean of each GOP; all 0 to 100."""

    model: Model
    mean: float
    harmonic: float
    worst_second: float
    gops: tuple[float, ...]
