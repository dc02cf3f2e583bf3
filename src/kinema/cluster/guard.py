"""Running a program that is not ours (Caddy) as a child of a region: signals go on to it, its exit code comes back."""

import signal
import subprocess
from types import FrameType


def run_program(command: list[str]) -> int:
    """Run the program in this process's group until it ends; SIGTERM is handed on. Return its exit code."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 -- the supervisor's own command line

    def hand_on(number: int, _frame: FrameType | None) -> None:
        program.send_signal(number)

    signal.signal(signal.SIGTERM, hand_on)
    return program.wait()
