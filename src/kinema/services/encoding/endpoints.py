"""Encoding's HTTP API: jobs and garbage collection. Uploads are in `upload_endpoints`. All of it is for operators."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from kinema.core.etag import matches
from kinema.core.identity import Identity
from kinema.core.ids import check_id
from kinema.core.keys import KeyRing
from kinema.model.encoding import Collected, Job, JobChange, JobPage, JobState
from kinema.rpc.conditional import conditional
from kinema.rpc.cursor import decode_cursor, encode_cursor
from kinema.rpc.idempotency import Idempotency
from kinema.rpc.service import AnyRequest, needs
from kinema.services.encoding.collection import MINIMUM_AGE_SECONDS, Collection
from kinema.services.encoding.jobs import Jobs
from kinema.storage.ports import Blobs

JobId = Annotated[str, PathParameter(description="The job's id.", schema_extra={"pattern": "^job_[0-9a-z]{26}$"})]
# Litestar keeps the name `state` for itself.
InState = Annotated[JobState | None, QueryParameter(name="state", description="Only jobs in this state.")]
Cursor = Annotated[
    str, QueryParameter(max_length=2000, description="Where the page begins: `next_cursor` of the page before.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many jobs a page has at most.")]
Age = Annotated[float, QueryParameter(ge=0, le=30 * 86400, description="Seconds; what is younger is left alone.")]


class _After(msgspec.Struct, frozen=True):
    """Where a page of jobs begins: behind this job."""

    job_id: str


@get(
    "/v1/jobs",
    operation_id="listJobs",
    tags=["jobs"],
    guards=[needs("operator")],
    responses={200: ResponseSpec(JobPage, description="A page of jobs")},
)
async def list_jobs(
    request: AnyRequest,
    job_store: Jobs,
    cursor_keys: KeyRing,
    in_state: InState = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response[bytes]:
    """Jobs, newest first. The ETag changes whenever a job does, so asking each second is cheap."""
    etag = f"{await job_store.mark()}-{in_state or 'all'}-{limit}"
    if not cursor and matches(request.headers.get("if-none-match", ""), etag):
        return conditional(request, etag, lambda: None)
    before = decode_cursor(cursor_keys, cursor, _After).job_id if cursor else None
    found = await job_store.page(in_state, before, limit + 1)
    more = encode_cursor(cursor_keys, _After(found[limit - 1].id)) if len(found) > limit else None
    page = JobPage(jobs=tuple(found[:limit]), next_cursor=more)
    return conditional(request, f"{etag}-{before}" if before else etag, lambda: page)


@get("/v1/jobs/{job_id:str}", operation_id="getJob", tags=["jobs"], guards=[needs("operator")])
async def get_job(job_id: JobId, job_store: Jobs) -> Job:
    """A job as it stands."""
    return await job_store.get(check_id(job_id, "job"))


@delete("/v1/jobs/{job_id:str}", operation_id="cancelJob", tags=["jobs"], guards=[needs("operator")], status_code=200)
async def cancel_job(job_id: JobId, job_store: Jobs) -> Job:
    """Cancel a job that has not ended; rungs that are published stay."""
    return await job_store.cancel(check_id(job_id, "job"))


@patch("/v1/jobs/{job_id:str}", operation_id="changeJob", tags=["jobs"], guards=[needs("operator")])
async def change_job(job_id: JobId, data: JobChange, job_store: Jobs) -> Job:
    """Change a job's priority or its limit of processor time, pause it, or let it go on."""
    return await job_store.change(check_id(job_id, "job"), data)


@post(
    "/v1/jobs/{job_id:str}/retry",
    operation_id="retryJob",
    tags=["jobs"],
    guards=[needs("operator")],
    status_code=200,
    responses={200: ResponseSpec(Job, description="Queued again")},
)
async def retry_job(
    request: AnyRequest, job_id: JobId, job_store: Jobs, blobs: Blobs, identity: Identity, idempotency: Idempotency
) -> Response[bytes]:
    """Queue a failed or cancelled job again; what it had finished is not done twice."""
    checked = check_id(job_id, "job")
    return await idempotency.run(request, identity, lambda: job_store.retry(checked, blobs), 200)


@post("/v1/gc", operation_id="collectEncoding", tags=["encoding"], guards=[needs("operator")], status_code=200)
async def collect(collection: Collection, minimum_age_seconds: Age = MINIMUM_AGE_SECONDS) -> Collected:
    """Delete expired uploads and the blobs that no job, title or play refers to."""
    return await collection.collect(minimum_age_seconds)


ROUTES: tuple[ControllerRouterHandler, ...] = (list_jobs, get_job, cancel_job, change_job, retry_job, collect)
