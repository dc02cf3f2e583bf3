"""The first code of every process of a region: it makes sure that the process ends when its supervisor does.

    python -m kinema.cluster.child DEATH_FD run              what $KINEMA_PLACEMENT says (kinema.wiring)
    python -m kinema.cluster.child DEATH_FD module NAME...   a Python module with its arguments
    python -m kinema.cluster.child DEATH_FD guard PROGRAM... a program that is not ours, ended the same way

DEATH_FD is the reading end of a pipe whose writing end only the supervisor holds and never writes to. Before anything else
is imported, a thread blocks on it: end of file means that the supervisor is gone, however it went, and the thread kills
the whole process group, encoders included. The kernel's parent-death signal is an addition; it is asked for on the main
thread. It must not be SIGKILL: that would end this process before its thread has ended the others of the group.
"""

import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_PARENT_DIED = signal.SIGUSR2

_FOR_TERMINALS = ("rich", "pygments")
"""structlog and mako (through alembic) import these when they can, to colour a terminal that a service has not.

Without them a cell starts with a fifth less work, and every start has several processes."""


def end_with_supervisor(death_fd: int) -> None:
    """Start the thread that waits for the supervisor's end and takes this process group with it."""
    os.set_inheritable(death_fd, False)

    def wait() -> None:
        while True:
            try:
                if not os.read(death_fd, 1):
                    break
            except InterruptedError:
                continue
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="death-pipe", daemon=True).start()


def ask_for_parent_death_signal(parent: int) -> None:
    """Have the kernel signal when the parent's thread that forked us ends; do nothing where there is no prctl."""
    import ctypes

    signal.signal(_PARENT_DIED, lambda _number, _frame: os.killpg(0, signal.SIGKILL))
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, _PARENT_DIED, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os.killpg(0, signal.SIGKILL)


def _leave_out(libraries: tuple[str, ...]) -> None:
    """Make importing these libraries fail in this process, as if they were not installed."""
    for name in libraries:
        sys.modules[name] = None  # type: ignore[assignment]  # None is how Python marks a module that must not be found


def main(arguments: list[str]) -> int:
    """Run what the command line says; return the exit code."""
    parent = os.getppid()
    end_with_supervisor(int(arguments[0]))
    ask_for_parent_death_signal(parent)
    if arguments[1] == "guard":
        from kinema.cluster.guard import run_program

        return run_program(arguments[2:])
    if arguments[1] == "module":
        import runpy

        sys.argv = arguments[2:]
        runpy.run_module(arguments[2], run_name="__main__", alter_sys=True)
        return 0
    _leave_out(_FOR_TERMINALS)
    from kinema.wiring.processes import run_placement

    return run_placement(os.environ["KINEMA_PLACEMENT"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
