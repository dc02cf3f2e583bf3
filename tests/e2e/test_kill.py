"""Processes are killed in mid-play and in mid-upload; the play goes on, the upload goes on, nothing is lost."""

import base64

import pytest

from kinema.core.errors import KinemaError
from tests.support.clips import make_clip
from tests.support.regions import Viewer, wait_until

pytestmark = pytest.mark.timeout(240)

RESUME_SECONDS = 10.0
EACH_KIND = ["gateway-1", "edge-1", "cell-1", "worker-1"]
THE_OTHERS = ["gateway-2", "cell-2"]
KILLED = [*EACH_KIND, *(pytest.param(name, marks=pytest.mark.slow) for name in THE_OTHERS)]


@pytest.fixture(scope="module")
def whole(region_with_film):
    region_with_film.wait_whole()
    return region_with_film


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("kill") / "clip.mp4", seconds=4, size="640x360").read_bytes()


@pytest.mark.parametrize("name", KILLED)
def test_a_play_goes_on_when_a_process_is_killed(whole, name):
    viewer = Viewer(whole, whole.film)
    viewer.start()
    viewer.watch()
    old = whole.kill(name)
    viewer.watch_within(RESUME_SECONDS)
    for _ in range(5):
        viewer.watch_within(RESUME_SECONDS)
    whole.wait_replaced(name, old)
    viewer.watch_within(RESUME_SECONDS)


@pytest.mark.parametrize("name", KILLED)
def test_an_upload_goes_on_when_a_process_is_killed(whole, clip, name):
    upload, title_id = create_upload(whole, len(clip), f"Killed {name}")
    third = len(clip) // 3
    assert patch(whole, upload, 0, clip[:third]) == third
    old = whole.kill(name)
    assert offset_of(whole, upload) == third
    assert patch(whole, upload, third, clip[third : 2 * third]) == 2 * third
    whole.wait_replaced(name, old)
    assert offset_of(whole, upload) == 2 * third
    assert patch(whole, upload, 2 * third, clip[2 * third :]) == len(clip)
    wait_until(lambda: title_is_complete(whole, title_id), 90, "the uploaded film")
    viewer = Viewer(whole, title_id)
    wait_until(lambda: starts(viewer), RESUME_SECONDS, "the uploaded film's play")
    viewer.watch()


def test_a_job_goes_on_when_its_worker_is_killed(whole, tmp_path):
    film = make_clip(tmp_path / "long.mp4", seconds=16, size="854x480")
    done = whole.kinema("add", str(film), "--title", "Interrupted", "--json")
    assert done.returncode == 0, done.stderr
    title_id = job_of(whole, title="Interrupted")["title_id"]
    wait_until(lambda: job_of(whole, title="Interrupted")["state"] == "running", 30, "the job to run")
    whole.wait_replaced("worker-1", whole.kill("worker-1"))
    wait_until(lambda: title_is_complete(whole, title_id), 120, "the interrupted film")


def create_upload(region, size, title):
    metadata = f"filename {base64.b64encode(b'clip.mp4').decode()},title {base64.b64encode(title.encode()).decode()}"
    answer = region.ask_patiently(
        "POST", "/v1/uploads", b"", tus_resumable="1.0.0", upload_length=str(size), upload_metadata=metadata
    )
    assert answer.status == 201, answer.body
    path = answer.headers["location"]
    return (path if path.startswith("/") else "/" + path.split("/", 3)[3]), answer.headers["kinema-title-id"]


def offset_of(region, upload):
    answer = region.ask_patiently("HEAD", upload, seconds=RESUME_SECONDS, tus_resumable="1.0.0")
    assert answer.status in (200, 204), answer.status
    return int(answer.headers["upload-offset"])


def patch(region, upload, offset, body):
    """Send a part as a tus client does: after a failure it asks for the offset and goes on from there."""

    def send():
        have = offset_of(region, upload)
        if have == offset + len(body):
            return have
        try:
            answer = region.ask(
                "PATCH",
                upload,
                body[have - offset :],
                tus_resumable="1.0.0",
                upload_offset=str(have),
                content_type="application/offset+octet-stream",
            )
        except KinemaError:
            return None
        return int(answer.headers["upload-offset"]) if answer.status == 204 else None

    return wait_until(send, RESUME_SECONDS, "the upload's next part")


def job_of(region, title):
    jobs = region.ask_patiently("GET", "/v1/jobs").json()["jobs"]
    return next(job for job in jobs if job["title"] == title)


def title_is_complete(region, title_id):
    answer = region.ask_patiently("GET", f"/v1/titles/{title_id}")
    return answer.status == 200 and answer.json()["complete"]


def starts(viewer):
    try:
        viewer.start()
    except (KinemaError, AssertionError):
        return False
    return True
