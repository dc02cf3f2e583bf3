import io
import json

from kinema.cluster.logs import LogStream


def written(raw, *, as_json, process="cell-1"):
    target = io.StringIO()
    LogStream(target, as_json=as_json).line(process, raw)
    return target.getvalue()


LINE = b'{"event": "catalogue announced", "version": 3, "service": "catalog", "instance": "catalog-1", "level": "info", "trace_id": "ab12", "timestamp": "2026-01-02T03:04:05.678901Z"}'


def test_a_childs_json_passes_through():
    assert json.loads(written(LINE, as_json=True)) == json.loads(LINE)


def test_a_childs_json_becomes_text_for_people():
    assert written(LINE, as_json=False) == (
        "03:04:05.678 info    catalog-1    catalogue announced version=3 trace_id=ab12\n"
    )


def test_an_exception_stands_below_its_line():
    raw = json.dumps({**json.loads(LINE), "exception": "Traceback\n  oops"}).encode()
    assert written(raw, as_json=False).splitlines()[1:] == ["Traceback", "  oops"]


def test_a_line_that_is_not_json_is_framed():
    framed = json.loads(written(b"Segmentation fault", as_json=True, process="worker-1"))
    assert framed["event"] == "Segmentation fault"
    assert (framed["service"], framed["instance"], framed["level"]) == ("worker", "worker-1", "info")


def test_caddys_own_fields_become_ours():
    framed = json.loads(written(b'{"level":"info","ts":0.5,"msg":"serving"}', as_json=True, process="caddy"))
    assert framed == {
        "timestamp": "1970-01-01T00:00:00.500000Z",
        "event": "serving",
        "level": "info",
        "service": "caddy",
        "instance": "caddy",
    }


def test_broken_json_and_broken_text_are_shown_as_they_are():
    assert json.loads(written(b'{"half', as_json=True))["event"] == '{"half'
    assert json.loads(written(b"\xff\xfe", as_json=True))["event"] == "\ufffd\ufffd"


def test_an_empty_line_is_left_out():
    assert written(b"  \n", as_json=False) == ""


def test_a_stream_that_nobody_reads_does_not_stop_the_region():
    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    LogStream(Closed(), as_json=False).event("still here")
