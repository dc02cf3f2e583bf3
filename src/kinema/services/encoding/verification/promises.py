"""What was promised of a rung, and what came out: bit rates and quality. Pure.

The figures are those of Apple's HLS Authoring Specification for devices (the peak at most 200 % of the average, the average
within 10 % of what is declared); a rung may be cheaper than promised, not dearer. Quality may be less than was
predicted by as much as predictions err; a rung that is far worse is a fault of the encode, not of the prediction.
"""

from kinema.model.encoding import Track
from kinema.services.encoding.allocation.rungs import PlannedRung
from kinema.services.encoding.verification.errors import NotVerified

MOST_OVER_AVERAGE = 1.1
MOST_PEAK = 2.0
MOST_VMAF_LOST = 3.0
_SHORT_SECONDS = 20.0  # of which a segment or two are no rate


def verify_promise(track: Track, planned: PlannedRung, vmaf: float) -> None:
    """Check a finished rung against its plan; `vmaf` is the mean that was measured of it (0: not measured). Raises NotVerified."""
    seconds = sum(segment.duration for segment in track.segments) / track.timescale
    if vmaf and vmaf < planned.vmaf - MOST_VMAF_LOST:
        raise NotVerified(
            f"The rung {track.name} looks worse than was planned (VMAF {vmaf:.1f} instead of {planned.vmaf:.1f}); retry the job."
        )
    if seconds < _SHORT_SECONDS:
        return
    if track.average_bandwidth > planned.bits_per_second * MOST_OVER_AVERAGE:
        raise NotVerified(
            f"The rung {track.name} takes {track.average_bandwidth // 1000} kbit/s where "
            f"{planned.bits_per_second // 1000} were planned; retry the job."
        )
    if track.bandwidth > max(track.average_bandwidth, planned.bits_per_second) * MOST_PEAK:
        raise NotVerified(
            f"The rung {track.name} peaks at {track.bandwidth // 1000} kbit/s, more than twice its average of "
            f"{track.average_bandwidth // 1000}; retry the job."
        )
