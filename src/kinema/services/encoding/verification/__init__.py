"""What must hold before a version of a title is published; what does not is one sentence (`NotVerified`), and the title is not published.

Each track by itself (`pictures`, `sound`), what it shows and sounds like beside the source (`content`), what was promised of a rung
(`promises`), all tracks together (`presentation`), and the texts that players get, as other people's parsers read them (`texts`).
"""

from kinema.services.encoding.verification.errors import NotVerified
from kinema.services.encoding.verification.pictures import equal_gops, frame_counter, verify_video
from kinema.services.encoding.verification.presentation import verify_presentation
from kinema.services.encoding.verification.sound import verify_audio

__all__ = ["NotVerified", "equal_gops", "frame_counter", "verify_audio", "verify_presentation", "verify_video"]
