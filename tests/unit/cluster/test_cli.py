"""The command line without a region: what it prints, how it fails, how little it imports."""

import json
import os
import socket
import subprocess
import sys

import pytest

from tests.support.regions import KINEMA


def kinema(*arguments, **environment):
    return subprocess.run(
        [str(KINEMA), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_help_names_every_verb():
    done = kinema("--help")
    assert done.returncode == 0
    for verb in (
        "up",
        "add",
        "token",
        "claim",
        "status",
        "doctor",
        "serve",
        "worker",
        "catalog",
        "keys",
        "property",
        "gc",
        "openapi",
    ):
        assert verb in done.stdout


def test_the_command_line_and_the_supervisor_import_no_service_libraries():
    code = "import sys, kinema.cli, kinema.commands.up; print([m for m in ('litestar', 'sqlalchemy', 'uvicorn', 'uvloop', 'structlog', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("arguments", [("nonsense",), ("add",), ("up", "--port", "many"), ("token", "--role", "king")])
def test_wrong_usage_is_one_line_and_exit_code_2(arguments):
    done = kinema(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("kinema: ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("status",), "No region runs on"),
        (("gc",), "No region runs on"),
        (("add", "film.mp4", "--title", "T"), "No region runs on"),
        (("add", "film.mp4", "--title", " "), "--title is empty"),
        (("add", "film.mp4", "--title", "T", "--url", "http://x"), "needs a bearer token in $KINEMA_TOKEN"),
        (("up", "--tls", "auto"), "--tls needs --host NAME"),
        (("up", "--port", "65535"), "is no port with one after it"),
        (("serve", "nothing"), "There is no service 'nothing'"),
        (("catalog", "pin", "newest"), "'newest' is no version"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(tmp_path, arguments, sentence):
    done = kinema(*arguments, "--data", str(tmp_path), KINEMA_TOKEN="")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert sentence in done.stderr


def test_a_setting_that_cannot_be_used_is_named(tmp_path):
    done = kinema("up", "--data", str(tmp_path), KINEMA_SESSION_DAYS="soon")
    assert done.returncode == 1
    assert "session_days" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_tokens_and_claims_are_made_without_a_region(tmp_path):
    assert len(kinema("token", "--data", str(tmp_path)).stdout.strip()) > 30
    assert kinema("claim", "--data", str(tmp_path)).stdout.startswith("http://127.0.0.1:8080/claim#")


def test_keys_are_rotated(tmp_path):
    first, second = (kinema("keys", "rotate", "--data", str(tmp_path)).stdout for _ in range(2))
    assert [line.partition(":")[0] for line in first.splitlines()] == [
        "identity",
        "media",
        "cursor",
        "fault",
        "content",
    ]
    assert first != second


def test_the_openapi_documents_are_written_and_left_alone_when_nothing_changed(tmp_path):
    assert kinema("openapi", "--out", str(tmp_path)).returncode == 0
    written = {path.stem: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(written) == {"discovery", "members", "catalog", "playback", "encoding", "configuration", "telemetry"}
    assert "/v1/plays" in json.loads((tmp_path / "playback.json").read_text())["paths"]
    kinema("openapi", "--out", str(tmp_path))
    assert {path.stem: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_doctor_says_what_is_there_and_what_is_missing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = kinema("doctor", "--json", "--port", str(port), "--data", str(tmp_path))
    assert done.returncode == 1
    told = json.loads(done.stdout)
    findings = {finding["check"]: finding for finding in told["findings"]}
    assert not told["ok"]
    assert findings[f"port {port}"]["state"] == "missing"
    assert "--port" in findings[f"port {port}"]["remedy"]
    for check in (
        "python",
        "kernel",
        "ffmpeg",
        "ffmpeg libx264",
        "ffmpeg aac",
        "ffmpeg libvmaf",
        "packager",
        "clock",
        "caddy",
    ):
        assert findings[check]["state"] == "ok", findings[check]
