"""Real children: what ends with what, and what is left."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinema.cluster.process import RunningProcess, child_command, explain

# A child that starts a grandchild in its group, says both ids, and waits.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def death_pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(end)


def start(command, death_fd, lines, inherit=()):
    return RunningProcess(
        child_command(death_fd, *command), environment=os.environ, inherit=(death_fd, *inherit), on_line=lines.append
    )


def family(tmp_path):
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    return "guard", sys.executable, str(script)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return value


async def members_of(lines):
    await until(lambda: lines)
    return [int(number) for number in lines[0].split()]


async def test_a_closed_death_pipe_ends_the_whole_group(tmp_path, death_pipe):
    lines = []
    process = start(family(tmp_path), death_pipe[0], lines)
    members = await members_of(lines)
    os.close(death_pipe[1])
    assert await asyncio.wait_for(process.ended, 5) == -signal.SIGKILL
    await until(lambda: not any(alive(pid) for pid in members), 5)


async def test_a_childs_end_takes_what_it_started_along(tmp_path, death_pipe):
    lines = []
    process = start(family(tmp_path), death_pipe[0], lines)
    members = await members_of(lines)
    os.kill(process.pid, signal.SIGKILL)
    assert await asyncio.wait_for(process.ended, 5) == -signal.SIGKILL
    await until(lambda: not any(alive(pid) for pid in members), 5)


async def test_a_dead_parent_takes_its_children_along(tmp_path):
    # A supervisor of its own, in another process, so that it can be killed.
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os, sys, time\n"
        "from kinema.cluster.process import RunningProcess, child_command\n"
        "async def main():\n"
        "    reading, _ = os.pipe()\n"
        "    say = lambda line: print(line.decode(), flush=True)\n"
        f"    command = child_command(reading, *{family(tmp_path)!r})\n"
        "    process = RunningProcess(command, environment=os.environ, inherit=(reading,), on_line=say)\n"
        "    await process.ended\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    members = [int(number) for number in (await asyncio.to_thread(parent.stdout.readline)).split()]
    assert all(alive(pid) for pid in members)
    parent.kill()
    parent.wait()
    await until(lambda: not any(alive(pid) for pid in members), 5)


async def test_a_guarded_program_hears_sigterm_and_its_exit_code_comes_back(tmp_path, death_pipe):
    script = tmp_path / "polite.py"
    script.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('here', flush=True)\n"
        "time.sleep(600)\n"
    )
    lines = []
    process = start(("guard", sys.executable, str(script)), death_pipe[0], lines)
    await until(lambda: lines)
    process.terminate()
    assert await asyncio.wait_for(process.ended, 10) == 7


async def test_a_child_leads_a_group_in_the_supervisors_session(tmp_path, death_pipe):
    # Linux shares the processors among sessions first (autogroup): niceness would not count between two of them.
    lines = []
    process = start(family(tmp_path), death_pipe[0], lines)
    members = await members_of(lines)
    assert {os.getpgid(pid) for pid in members} == {process.pid}
    assert {os.getsid(pid) for pid in members} == {os.getsid(0)}
    process.kill()
    await process.ended


async def test_the_last_words_of_a_process_are_heard(death_pipe):
    lines = []
    process = start(("guard", sys.executable, "-c", "print('one'); print('two', end='')"), death_pipe[0], lines)
    assert await asyncio.wait_for(process.ended, 10) == 0
    assert lines == [b"one", b"two"]


async def test_the_death_pipe_does_not_reach_what_a_child_starts(death_pipe):
    lines = []
    code = "import os; print([fd for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}') and 'pipe' in os.readlink(f'/proc/self/fd/{fd}')])"
    process = start(("guard", sys.executable, "-c", code), death_pipe[0], lines)
    await asyncio.wait_for(process.ended, 10)
    assert str(death_pipe[0]) not in lines[0].decode().replace("'1'", "").replace("'2'", "").split("'")


@pytest.mark.parametrize(
    ("code", "text"), [(0, "ended with exit code 0"), (-9, "was ended by SIGKILL"), (-200, "was ended by signal 200")]
)
def test_how_a_process_ended_is_said_in_words(code, text):
    assert explain(code) == text
