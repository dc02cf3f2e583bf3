"""What `encoding` tells about how a title was encoded: what was measured, what was chosen and why, what it cost and saved."""

import msgspec


class RatePoint(msgspec.Struct, frozen=True):
    """An encode at one size: its CRF, its mean bits per second and its mean VMAF (0 to 100)."""

    codec: str
    width: int
    height: int
    crf: float
    bits_per_second: float
    vmaf: float


class RungReport(msgspec.Struct, frozen=True):
    """A rung as it was published, beside what was planned; rates in bits per second, VMAF 0 to 100 (0: not measured)."""

    name: str
    codec: str
    width: int
    height: int
    bits_per_second: int
    peak_bits_per_second: int
    vmaf: float
    planned_bits_per_second: int
    planned_vmaf: float
    reason: str


class ShotReport(msgspec.Struct, frozen=True):
    """A shot on the time line, as the best rung has it: its mean bits per second and VMAF (0: not measured)."""

    start_seconds: float
    seconds: float
    bits_per_second: float
    vmaf: float


class StepCost(msgspec.Struct, frozen=True):
    """Processor time of all steps of one kind."""

    kind: str
    steps: int
    cpu_seconds: float


class EncodingReport(msgspec.Struct, frozen=True):
    """How a version of a title was made. `fixed` is what the fixed ladder would have given, for comparison.

    `saved_share` is the part of the fixed ladder's bits that this one does without at the same quality, on average (below 0: it
    needs more; None: nobody measured). `cpu_seconds` is the processor time of the job so far, `costs` what it went into.
    `remarks` are sentences about the source. Times are seconds, `created_at` Unix seconds.
    """

    title_id: str
    title: str
    asset: str
    version: int
    created_at: float
    duration_seconds: float
    frame_rate: str
    width: int
    height: int
    quality_model: str
    probes: tuple[RatePoint, ...]
    hull: tuple[RatePoint, ...]
    rungs: tuple[RungReport, ...]
    fixed: tuple[RatePoint, ...]
    shots: tuple[ShotReport, ...]
    costs: tuple[StepCost, ...]
    cpu_seconds: float
    saved_share: float | None
    remarks: tuple[str, ...] = ()
