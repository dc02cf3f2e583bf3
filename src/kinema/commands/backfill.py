"""`kinema encode backfill`: roll a codec out over the titles that are there, watch it, pause it, take it back."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from kinema.cluster.inside import Inside
from kinema.commands.options import AsJson, Data, data_dir
from kinema.core.errors import BadInput
from kinema.model.encoding_backfill import (
    Backfill,
    BackfillChange,
    BackfillCodec,
    BackfillRequest,
    BackfillRollback,
    Backfills,
    RolledBack,
)

Codec = Annotated[BackfillCodec | None, Parameter(help="The codec to add to every title that lacks it.")]
Titles = Annotated[tuple[str, ...], Parameter(name="--title", help="Only this title; may be repeated.", negative="")]
Worthwhile = Annotated[bool, Parameter(help="Only titles whose saving is worth its price.", negative="")]
Limit = Annotated[float | None, Parameter(help="Processor seconds after which a title is paused.")]
Pause = Annotated[str, Parameter(help="Pause this backfill (its id, or `latest`).")]
Resume = Annotated[str, Parameter(help="Let this backfill go on.")]
Rollback = Annotated[str, Parameter(help="End this backfill and serve its titles as they were before it.")]
Version = Annotated[int | None, Parameter(help="With --rollback: the version of the catalogue to go back to.")]

_SERVICE = "encoding"


def backfill(
    *,
    codec: Codec = None,
    titles: Titles = (),
    worthwhile: Worthwhile = False,
    most_cpu_seconds: Limit = None,
    pause: Pause = "",
    resume: Resume = "",
    rollback: Rollback = "",
    catalog_version: Version = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Begin a backfill with --codec, or pause, resume or roll one back; without any of these, show the latest ones."""
    if sum((codec is not None, bool(pause), bool(resume), bool(rollback))) > 1:
        raise BadInput("Give one of --codec, --pause, --resume and --rollback.")
    region = _Region(data_dir(data))
    if rollback:
        region.roll_back(region.id_of(rollback), catalog_version, as_json=as_json)
    elif codec is not None:
        wanted = BackfillRequest(codec, titles, worthwhile=worthwhile, most_cpu_seconds=most_cpu_seconds)
        region.show([region.start(wanted)], as_json=as_json)
    elif pause or resume:
        region.show([region.change(region.id_of(pause or resume), paused=bool(pause))], as_json=as_json)
    else:
        region.show(region.latest(), as_json=as_json)


class _Region:
    """The region's encoding service, as this command speaks to it."""

    def __init__(self, data: Path) -> None:
        self._inside = Inside(data)

    def id_of(self, name: str) -> str:
        """Return the id that a person means. Raises BadInput when there is no backfill at all."""
        if name != "latest":
            return name
        found = self.latest()
        if not found:
            raise BadInput("There is no backfill yet; begin one with --codec.")
        return found[0].id

    def latest(self) -> list[Backfill]:
        """Return the latest backfills, newest first."""
        answer = self._inside.call(_SERVICE, "GET", "/v1/backfills")
        return list(msgspec.json.decode(answer.body, type=Backfills).backfills)

    def start(self, wanted: BackfillRequest) -> Backfill:
        """Begin a backfill."""
        answer = self._inside.call(_SERVICE, "POST", "/v1/backfills", msgspec.to_builtins(wanted))
        return msgspec.json.decode(answer.body, type=Backfill)

    def change(self, backfill_id: str, *, paused: bool) -> Backfill:
        """Pause a backfill or let it go on."""
        body = msgspec.to_builtins(BackfillChange(paused=paused))
        answer = self._inside.call(_SERVICE, "PATCH", f"/v1/backfills/{backfill_id}", body)
        return msgspec.json.decode(answer.body, type=Backfill)

    def roll_back(self, backfill_id: str, version: int | None, *, as_json: bool) -> None:
        """End a backfill, serve its titles as they were, and say how many."""
        body = msgspec.to_builtins(BackfillRollback(version))
        path = f"/v1/backfills/{backfill_id}/rollback"
        answer = self._inside.call(_SERVICE, "POST", path, body, timeout=600.0)
        done = msgspec.json.decode(answer.body, type=RolledBack)
        if as_json:
            print(msgspec.json.encode(done).decode())
        else:
            print(f"{done.titles} titles are served as they were; {done.cancelled} jobs were cancelled.")

    def show(self, found: list[Backfill], *, as_json: bool) -> None:
        """Print backfills: a JSON line each, or a sentence each."""
        for one in found:
            if as_json:
                print(msgspec.json.encode(one).decode())
                continue
            share = f" ({one.saved_bytes / one.before_bytes:.0%})" if one.before_bytes else ""
            failed = f", {one.failed} failed" if one.failed else ""
            print(
                f"{one.id}  {one.codec}  {one.state}: {one.done} of {one.titles} titles{failed}; "
                f"{one.saved_bytes / 1e6:,.1f} MB saved{share}, {one.cpu_seconds:,.0f} s of processor time; "
                f"before it, catalogue version {one.catalog_version}"
            )
        if not found and not as_json:
            print("There is no backfill yet; begin one with --codec.")
