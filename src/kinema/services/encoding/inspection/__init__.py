"""Inspection: what a source is, how its pictures become plain ones, and what its sender should know about it.

description, packets, samples -> Facts -> video_filters (one chain for encoder, probes and pictures)
                                       -> report (findings as sentences)
"""

from kinema.services.encoding.inspection.facts import (
    AudioFacts,
    ChapterFacts,
    Color,
    Crop,
    Facts,
    Mastering,
    TextFacts,
    Unusable,
)
from kinema.services.encoding.inspection.filters import (
    picture_filters,
    still_filters,
    timing_filters,
    video_filters,
)
from kinema.services.encoding.inspection.rates import HIGHEST_RATE, STANDARD_RATES, frame_rate
from kinema.services.encoding.inspection.reading import inspect
from kinema.services.encoding.inspection.report import MezzanineReport, mezzanine_report

__all__ = [
    "HIGHEST_RATE",
    "STANDARD_RATES",
    "AudioFacts",
    "ChapterFacts",
    "Color",
    "Crop",
    "Facts",
    "Mastering",
    "MezzanineReport",
    "TextFacts",
    "Unusable",
    "frame_rate",
    "inspect",
    "mezzanine_report",
    "picture_filters",
    "still_filters",
    "timing_filters",
    "video_filters",
]
