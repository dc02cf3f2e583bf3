"""`kinema add FILE`: upload a film to a region and, if asked to, wait until it plays."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from kinema.cluster import region_file
from kinema.cluster.ask import ask, expect
from kinema.commands.access_local import local_token
from kinema.commands.options import AsJson, Data, data_dir
from kinema.commands.tus import TusClient
from kinema.core.errors import BadInput, KinemaError, TooMany, Unauthenticated
from kinema.model.encoding import Job, JobPage

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 120.0


class EncodingFailed(KinemaError):
    """The region could not make a film of the file."""


def add(
    file: Path,
    /,
    *,
    title: Annotated[str, Parameter(help="The film's title.")],
    wait: Annotated[bool, Parameter(negative="", help="Wait until it is encoded completely.")] = False,
    as_json: AsJson = False,
    url: Annotated[str, Parameter(help="A region elsewhere, with its bearer token in $KINEMA_TOKEN.")] = "",
    data: Data = None,
) -> int:
    """Upload a film. An upload that was cut goes on when the same command is run again."""
    if not title.strip():
        raise BadInput('--title is empty; give the film a title, as in --title "My holiday".')
    begun = time.monotonic()
    directory = data_dir(data)
    report = _Report(begun, as_json=as_json)
    try:
        base, token = _target(url, directory)
        with _progress(file, as_json=as_json) as show:
            upload = TusClient(base, token, file, directory / "run", show).run(title)
        report.state(upload.title_id, "uploaded", ())
        if wait:
            _follow(base, token, upload.title_id, report)
    finally:
        report.last()
    return 0


def _target(url: str, directory: Path) -> tuple[str, str]:
    """Return the region's address and a bearer token for it."""
    token = os.environ.get("KINEMA_TOKEN", "")
    if url:
        if not token:
            raise Unauthenticated(
                f"{url} needs a bearer token in $KINEMA_TOKEN; its operator makes one with: kinema token"
            )
        return url.rstrip("/"), token
    region = region_file.read(directory)
    return f"http://{region.gateway}", token or local_token(directory)


def _follow(base: str, token: str, title_id: str, report: "_Report") -> None:
    """Report the job's states until it has ended. Raises EncodingFailed with the region's own sentence."""
    heard = time.monotonic()
    while True:
        try:
            job = _job(base, token, title_id)
            heard = time.monotonic()
        except KinemaError as error:
            passing = error.status >= 500 or isinstance(error, TooMany)
            if not passing or time.monotonic() - heard > _PATIENCE_SECONDS:
                raise
            job = None
        if job is not None:
            rungs = tuple(rung.name for rung in job.rungs if rung.state == "published")
            if job.state == "done":
                report.state(title_id, "complete", rungs)
                return
            if job.state in ("failed", "cancelled"):
                report.state(title_id, "failed", rungs)
                raise EncodingFailed(job.error or "The job was cancelled.")
            report.state(title_id, "published" if rungs else job.state, rungs, job.progress)
        time.sleep(_LOOK_SECONDS)


def _job(base: str, token: str, title_id: str) -> Job | None:
    """Return the title's newest job."""
    cursor = ""
    while True:
        query = "/v1/jobs?limit=100" + (f"&cursor={cursor}" if cursor else "")
        answer = expect(ask(base, "GET", query, headers={"authorization": f"Bearer {token}"}), 200)
        page = msgspec.json.decode(answer.body, type=JobPage)
        for job in page.jobs:
            if job.title_id == title_id:
                return job
        if not page.next_cursor:
            return None
        cursor = page.next_cursor


class _Report:
    """Says what has become of the title: a JSON line or a sentence for each change."""

    def __init__(self, begun: float, *, as_json: bool) -> None:
        self._begun = begun
        self._as_json = as_json
        self._said: tuple[str, tuple[str, ...]] = ("failed", ())  # what is true if nothing ever gets further
        self._title_id = ""

    def state(self, title_id: str, state: str, rungs: tuple[str, ...], progress: float | None = None) -> None:
        """Report a state, if it is news."""
        self._title_id = title_id
        if (state, rungs) == self._said:
            return
        self._said = (state, rungs)
        if self._as_json:
            self._line()
        else:
            done = f", {progress:.0%}" if progress is not None else ""
            print(f"{title_id}: {state}{done}" + (f" ({', '.join(rungs)})" if rungs else ""), flush=True)

    def last(self) -> None:
        """End with the line that scripts read, however it ended."""
        if self._as_json:
            self._line()

    def _line(self) -> None:
        state, rungs = self._said
        seconds = round(time.monotonic() - self._begun, 3)
        print(json.dumps({"title_id": self._title_id, "state": state, "rungs": rungs, "seconds": seconds}), flush=True)


@contextlib.contextmanager
def _progress(file: Path, *, as_json: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; elsewhere say nothing."""
    if as_json or not sys.stderr.isatty():
        yield lambda _arrived: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        total = file.stat().st_size if file.is_file() else None
        task = bar.add_task(f"Uploading {file.name}", total=total)
        yield lambda arrived: bar.update(task, completed=arrived)
