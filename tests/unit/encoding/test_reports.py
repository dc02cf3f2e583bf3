"""Reports: shots summed up from segments, kept by version, shown to operators."""

from kinema.model.encoding import ByteRange, Manifest, Segment, Track
from kinema.model.encoding_report import ShotReport, StepCost
from kinema.services.encoding.flow.reports import Reports, bare_report, costs_of, shot_reports

TITLE = "ttl_00000000000000000000000001"


def rung(*segments):
    """Return a rung of 100 ticks a second with segments of (duration, bytes, VMAF)."""
    parts = tuple(Segment(0, size, duration, "0" * 64, vmaf) for duration, size, vmaf in segments)
    ranges = ByteRange(0, 1), ByteRange(1, 1)
    return Track("video-360p", "video", "0" * 64, 10, "avc1.64001e", 9, 8, *ranges, 100, parts, 640, 360, "25/1")


def test_segments_are_summed_up_by_shot():
    track = rung((400, 1000, 90.0), (400, 3000, 80.0), (200, 500, 95.0))
    assert shot_reports(track, [0.0, 8.0]) == (
        ShotReport(0.0, 8.0, 4000, 85.0),
        ShotReport(8.0, 2.0, 2000, 95.0),
    )
    assert shot_reports(rung((400, 1000, 0.0)), [0.0]) == (ShotReport(0.0, 4.0, 2000, 0.0),)


def test_costs_are_summed_up_by_kind_the_dearest_first():
    steps = [("probe", 1.0), ("encode-chunk", 5.0), ("probe", 2.0)]
    assert costs_of(steps) == (StepCost("encode-chunk", 1, 5.0), StepCost("probe", 2, 3.0))


async def test_the_newest_version_is_shown_and_old_ones_go(opened):
    room, client = opened
    assert (await client.get(f"/v1/reports/{TITLE}")).status_code == 404
    reports = Reports(room.sql)
    for version in range(1, 9):
        manifest = Manifest("ast_1", version, TITLE, 4.0, float(version), (rung((400, 1000, 90.0)),))
        await reports.keep(bare_report(manifest, "Film", 12.5))
        await reports.keep(bare_report(manifest, "Film", 12.5))
    shown = (await client.get(f"/v1/reports/{TITLE}")).json()
    assert (shown["version"], shown["cpu_seconds"], shown["saved_share"]) == (8, 12.5, None)
    assert [one["vmaf"] for one in shown["rungs"]] == [90.0]
    async with room.sql.read() as connection:
        from kinema.services.encoding.tables import reports as table

        assert len((await connection.execute(table.select())).all()) == 5
