"""Encoding's HTTP API for backfills and reports. All of it is for operators."""

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from litestar.types import ControllerRouterHandler

from kinema.core.identity import Identity
from kinema.core.ids import check_id
from kinema.model.encoding_backfill import (
    Backfill,
    BackfillChange,
    BackfillRequest,
    BackfillRollback,
    Backfills,
    RolledBack,
)
from kinema.model.encoding_report import EncodingReport
from kinema.rpc.idempotency import Idempotency
from kinema.rpc.service import AnyRequest, needs
from kinema.services.encoding.flow.backfills import BackfillStore
from kinema.services.encoding.flow.reports import Reports

BackfillId = Annotated[
    str, PathParameter(description="The backfill's id.", schema_extra={"pattern": "^bfl_[0-9a-z]{26}$"})
]
TitleId = Annotated[str, PathParameter(description="The title's id.", schema_extra={"pattern": "^ttl_[0-9a-z]{26}$"})]


@get("/v1/reports/{title_id:str}", operation_id="getReport", tags=["encoding"], guards=[needs("operator")])
async def get_report(title_id: TitleId, reports: Reports) -> EncodingReport:
    """How the newest version of a title was encoded: probes, hull, rungs and why, shots, cost, savings."""
    return await reports.latest(check_id(title_id, "ttl"))


@post(
    "/v1/backfills",
    operation_id="startBackfill",
    tags=["encoding"],
    guards=[needs("operator")],
    responses={201: ResponseSpec(Backfill, description="Queued")},
)
async def start_backfill(
    request: AnyRequest,
    data: BackfillRequest,
    backfill_store: BackfillStore,
    identity: Identity,
    idempotency: Idempotency,
) -> Response[bytes]:
    """Roll a codec out over the titles that lack it, in the background, what is watched most first."""
    return await idempotency.run(request, identity, lambda: backfill_store.start(data))


@get("/v1/backfills", operation_id="listBackfills", tags=["encoding"], guards=[needs("operator")])
async def list_backfills(backfill_store: BackfillStore) -> Backfills:
    """The latest roll-outs of codecs, newest first, with what they saved and took."""
    return Backfills(backfills=await backfill_store.page())


@patch("/v1/backfills/{backfill_id:str}", operation_id="changeBackfill", tags=["encoding"], guards=[needs("operator")])
async def change_backfill(backfill_id: BackfillId, data: BackfillChange, backfill_store: BackfillStore) -> Backfill:
    """Pause a roll-out, or let it go on."""
    return await backfill_store.pause(check_id(backfill_id, "bfl"), paused=data.paused)


@post(
    "/v1/backfills/{backfill_id:str}/rollback",
    operation_id="rollBackBackfill",
    tags=["encoding"],
    guards=[needs("operator")],
    status_code=200,
)
async def roll_back_backfill(
    backfill_id: BackfillId, data: BackfillRollback, backfill_store: BackfillStore
) -> RolledBack:
    """End a roll-out and serve its titles again as a version of the catalogue had them. May be repeated."""
    return await backfill_store.roll_back(check_id(backfill_id, "bfl"), data.catalog_version)


FLOW_ROUTES: tuple[ControllerRouterHandler, ...] = (
    get_report,
    start_backfill,
    list_backfills,
    change_backfill,
    roll_back_backfill,
)
