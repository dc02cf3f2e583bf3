"""An operator's own filters in a real gateway: taken up, changed, broken, dropped, cut at their deadline."""

import asyncio
import os
import sys
import textwrap
from types import ModuleType

import msgspec
import pytest

from kinema.model.gateway import FilterReport
from kinema.services.gateway.own_filters import FilterBroken, Source, load
from kinema.services.gateway.quarantine import Entry, Quarantine
from tests.support.fabric import bearer, fabric, until

HEADER_FILTER = """
from kinema.http import encode_fields

class Shout:
    kind = "outbound"
    order = 90

    def __init__(self, parts):
        pass

    def applies_to(self, route, *, opened):
        return route.prefix == "/v1/home"

    def apply(self, passage, answer):
        answer.add(b"x-shout", b"{word}")
"""


def inbound(body, **members):
    lines = "\n".join(f"    {name} = {value!r}" for name, value in members.items())
    return (
        "import asyncio, time\nfrom kinema.core.errors import Forbidden\n"
        "class Own:\n    kind = 'inbound'\n    order = 90\n"
        f"{lines}\n"
        "    def __init__(self, parts): self.parts = parts\n"
        "    def applies_to(self, route, *, opened): return route.prefix == '/v1/home'\n"
        + textwrap.indent(textwrap.dedent(body), "    ")
    )


class Folder:
    def __init__(self, region, path):
        self.region = region
        self.path = path / "filters"
        self.path.mkdir(mode=0o755)

    async def write(self, name, text):
        (self.path / name).write_text(text)
        await self.look()

    async def look(self):
        await self.region.gateway.reloading.look()

    def status(self, file):
        return next(one for one in self.region.gateway.reloading.report().filters if one.source == file)


def own_region(tmp_path):
    return fabric(tmp_path, members=True, gateway=True, data_dir=tmp_path)


async def ready(region):
    await region.upstream("catalog", lambda exchange: exchange.reply(200, (), b"home"))
    return bearer(await region.token("operator"))


async def test_a_file_is_taken_up_changed_and_dropped_while_the_gateway_runs(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        words = []
        for text in (HEADER_FILTER.replace("{word}", "one"), HEADER_FILTER.replace("{word}", "two")):
            (folder.path / "shout.py").write_text(text)
            wanted = text.partition('b"x-shout", b"')[2][:3].encode()
            deadline = asyncio.get_running_loop().time() + 20
            while (found := (await region.get("/v1/home", token)).headers.get(b"x-shout")) != wanted:
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
            words.append(found)
        assert words == [b"one", b"two"]
        (folder.path / "shout.py").unlink()
        await folder.look()
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class Shout(\n", "line 1"),
        ("import not_there_at_all\n", "line 1: ModuleNotFoundError"),
        ("x = 1\n", "0 public classes"),
        ("class A: ...\nclass B: ...\n", "2 public classes"),
        ("class A:\n    kind = 'sideways'\n    order = 1\n", "sideways"),
        ("class A:\n    kind = 'inbound'\n    order = 'first'\n", "first"),
        ("class A:\n    kind = 'inbound'\n    order = 1\n    def applies_to(self): ...\n", "apply"),
        ("raise SystemExit(3)\n", "SystemExit"),
        (HEADER_FILTER.replace("        pass", "        1 / 0"), "ZeroDivisionError"),
        ("\0", "null bytes"),
        (HEADER_FILTER.replace("return route", "raise LookupError(route)"), "LookupError"),
        (HEADER_FILTER.replace("def applies_to", "async def applies_to"), "async applies_to"),
        (HEADER_FILTER.replace("order = 90", "order = 90\n    deadline_seconds = float('nan')"), "deadline nan"),
        (HEADER_FILTER.replace("order = 90", "order = 90\n    deadline_seconds = 'long'"), "deadline 'long'"),
        (HEADER_FILTER.replace("        pass", "        exit()"), "SystemExit"),
    ],
)
async def test_a_broken_file_leaves_the_old_filter_running_and_is_reported(tmp_path, text, reason):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "good"))
        await folder.write("shout.py", text)
        status = folder.status("shout.py")
        assert (status.state, status.kind) == ("broken", "outbound")
        assert reason in status.problem
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") == b"good"
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "well"))
        assert folder.status("shout.py").state == "running"
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") == b"well"


async def test_a_filter_may_refuse_answer_wait_and_fail(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        bodies = {
            "def apply(self, passage): raise Forbidden('Not today.')": 403,
            "def apply(self, passage):\n    passage.reply(418, [], b'tea')\n    return True": 418,
            "async def apply(self, passage):\n    await asyncio.sleep(0.01)": 200,
            "async def apply(self, passage):\n    passage.reply(418, [], b'tea')\n    return True": 418,
            "def apply(self, passage): raise ValueError('inside')": 500,
            "async def apply(self, passage): raise ValueError('inside')": 500,
            "def apply(self, passage): return 'nonsense'": 500,
            "def apply(self, passage): passage.lines.append(None)": 500,
            "def apply(self, passage): exit()": 500,
            "def apply(self, passage): raise asyncio.CancelledError": 500,
            "async def apply(self, passage): exit()": 500,
            "async def apply(self, passage): raise asyncio.CancelledError": 500,
            "def apply(self, passage):\n    passage.reply(200, [], 'text')\n    return True": 500,
            "def apply(self, passage):\n    passage.reply(99, [], b'')\n    return True": 500,
        }
        for body, status in bodies.items():
            await folder.write("own.py", inbound(body))
            response = await region.get("/v1/home", token)
            assert response.status == status, body
            if status in {403, 500}:
                assert response.headers.get(b"content-type") == b"application/problem+json"
                assert b"inside" not in response.body
        await folder.write("own.py", inbound("def apply(self, passage): raise ValueError('inside')"))
        await region.get("/v1/home", token)
        assert (folder.status("own.py").failures, folder.status("own.py").last_failure) == (1, "ValueError: inside")


async def test_a_filter_that_waits_for_ever_is_cut_at_its_deadline(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        stubborn = """
        async def apply(self, passage):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(60)
        """
        outbound = "async def apply(self, passage, answer): await asyncio.sleep(60)"
        for text in (
            inbound("async def apply(self, passage): await asyncio.sleep(60)", deadline_seconds=0.1),
            inbound(outbound, deadline_seconds=0.1, kind="outbound"),
            inbound(stubborn, deadline_seconds=0.1),
        ):
            await folder.write("own.py", text)
            response = await region.get("/v1/home", token)
            assert response.status == 504
            assert b"own" in response.body
            assert folder.status("own.py").timeouts == 1


async def test_an_outbound_filter_may_wait_and_change_whole_and_streamed_answers(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        size = 300_000
        region.upstreams[0].handler = lambda exchange: (
            exchange.start(201, ((b"etag", b'"a"'),), size if exchange.query == "long" else None),
            exchange.write(b"x" * size),
            exchange.finish(),
        )
        change = """
        async def apply(self, passage, answer):
            await asyncio.sleep(0.05)
            answer.set(b"etag", b'"b"')
            answer.status = 202
        """
        await folder.write("own.py", inbound(change, kind="outbound"))
        for path in ("/v1/home", "/v1/home?long"):
            response = await region.get(path, token)
            assert (response.status, response.headers.get(b"etag"), len(response.body)) == (202, b'"b"', size)
        upper = """
        def apply(self, passage, answer):
            answer.through(self)
            answer.length = None
        def data(self, piece): return piece.upper()
        def end(self): return b"!"
        """
        await folder.write("own.py", inbound(upper, kind="outbound"))
        assert (await region.get("/v1/home?long", token)).body == b"X" * size + b"!"
        replaced = "def apply(self, passage, answer): answer.status, answer.body = 200, b'instead'"
        for text in (replaced, f"async {replaced}"):
            await folder.write("own.py", inbound(text, kind="outbound"))
            assert (await region.get("/v1/home?long", token)).body == b"instead"
            await until(lambda: not region.rpc.balancer.in_flight)
        broken = "def apply(self, passage, answer): answer.add(b'x', b'a\\r\\nb')"
        await folder.write("own.py", inbound(broken, kind="outbound"))
        for path in ("/v1/home", "/v1/home?long"):
            assert (await region.get(path, token)).status == 500
            await until(lambda: not region.rpc.balancer.in_flight)


@pytest.mark.parametrize("raises", ["exit()", "raise asyncio.CancelledError", "raise ValueError"])
async def test_an_outbound_filter_behind_one_that_waits_may_raise_anything(tmp_path, raises):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        waits = "async def apply(self, passage, answer): await asyncio.sleep(0.01)"
        await folder.write("first.py", inbound(waits, kind="outbound", order=90))
        await folder.write(
            "second.py", inbound(f"def apply(self, passage, answer): {raises}", kind="outbound", order=91)
        )
        assert (await region.get("/v1/home", token)).status == 500
        assert folder.status("second.py").failures == 1
        (folder.path / "second.py").unlink()
        await folder.look()
        assert (await region.get("/v1/home", token)).body == b"home"


async def test_an_endpoint_answers_by_itself_and_may_bring_its_own_route(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        instead = inbound("def apply(self, passage): passage.reply(200, [], b'instead')", kind="endpoint")
        await folder.write("instead.py", instead)
        assert (await region.get("/v1/home", token)).body == b"instead"
        own_route = inbound("async def apply(self, passage): passage.reply(200, [], b'hello')", kind="endpoint")
        own_route = own_route.replace("route.prefix == '/v1/home'", "True").replace(
            "class Own:",
            "from kinema.services.gateway.routes import Route\nclass Own:\n"
            "    route = Route(prefix='/v1/hello', endpoint='nothing', open_methods=frozenset({'GET'}))",
        )
        await folder.write("hello.py", own_route)
        assert (await region.get("/v1/hello")).body == b"hello"
        assert (await region.get("/v1/hello", method="POST")).status == 401
        assert (await region.get("/v1/home", token)).body == b"instead"


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("'/v1/hello'", "is no Route"),
        ("Route(prefix=5)", "is no Route"),
        ("Route(prefix='hello', endpoint='nothing')", "'hello'"),
        ("Route(prefix='/v1/hello/again', endpoint='nothing')", "'/v1/hello/again'"),
        ("Route(prefix='/v1/hello', endpoint='nowhere')", "'nowhere'"),
        ("Route(prefix='/v1/home', endpoint='nothing')", "/v1/home is there already"),
    ],
)
async def test_a_route_that_nobody_could_take_is_reported_and_harms_nothing(tmp_path, route, reason):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        text = inbound("def apply(self, passage): passage.reply(200, [], b'')", kind="endpoint")
        text = text.replace(
            "class Own:", f"from kinema.services.gateway.routes import Route\nclass Own:\n    route = {route}"
        )
        await folder.write("own.py", text)
        assert folder.status("own.py").state == "broken"
        assert reason in folder.status("own.py").problem
        assert (await region.get("/v1/home", token)).body == b"home"
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "taken"))
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") == b"taken"


@pytest.mark.parametrize(
    "body",
    [
        "def apply(self, passage): return None",
        "def apply(self, passage): return True",
        "async def apply(self, passage): return None",
        "async def apply(self, passage): await asyncio.sleep(0.01)",
    ],
)
async def test_an_endpoint_that_ends_without_an_answer_is_a_failure_and_leaves_nobody_waiting(tmp_path, body):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        await folder.write("own.py", inbound(body, kind="endpoint"))
        assert (await region.get("/v1/home", token)).status == 500
        assert folder.status("own.py").last_failure == "RuntimeError: The endpoint own ended without an answer."


async def test_an_endpoint_may_answer_later_when_it_listens_for_a_client_that_leaves(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        later = """
        def apply(self, passage):
            timer = asyncio.get_running_loop().call_later(0.05, passage.reply, 200, [], b'later')
            passage.exchange.on_disconnect = timer.cancel
        """
        await folder.write("own.py", inbound(later, kind="endpoint"))
        assert (await region.get("/v1/home", token)).body == b"later"


async def test_whoever_blocks_while_a_filter_is_made_can_be_named(tmp_path, monkeypatch):
    async with own_region(tmp_path) as region:
        await ready(region)
        folder = Folder(region, tmp_path)
        named = []
        probe = ModuleType("own_probe")
        probe.look = lambda path: named.append(region.gateway.reloading.owner(path))
        monkeypatch.setitem(sys.modules, "own_probe", probe)
        made = "import own_probe; own_probe.look(__file__)"
        await folder.write("own.py", inbound("def apply(self, passage): ...").replace("self.parts = parts", made))
        assert [(one.name, one.digest) for one in named] == [("own.py", folder.status("own.py").digest)]


async def test_what_is_new_is_tried_by_one_gateway_at_a_time(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        other = Quarantine(tmp_path).alone()
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "one"))
        assert {one.source for one in region.gateway.reloading.report().filters} == {"built-in"}
        assert Quarantine(tmp_path).alone() is None
        os.close(other)
        await folder.look()
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") == b"one"
        os.close(Quarantine(tmp_path).alone())


async def test_looks_of_one_gateway_do_not_get_in_each_others_way(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        for word in ("one", "two", "three", "four", "five"):
            (folder.path / "shout.py").write_text(HEADER_FILTER.replace("{word}", word))
            looks = [asyncio.create_task(folder.look()) for _ in range(4)]
            await looks[-1]
            assert (await region.get("/v1/home", token)).headers.get(b"x-shout") == word.encode()
            await asyncio.gather(*looks)


async def test_a_gateway_that_starts_waits_for_the_one_that_tries(tmp_path):
    folder = tmp_path / "filters"
    folder.mkdir(mode=0o755)
    (folder / "shout.py").write_text(HEADER_FILTER.replace("{word}", "there"))
    other = Quarantine(tmp_path).alone()
    asyncio.get_running_loop().call_later(0.3, os.close, other)
    async with own_region(tmp_path) as region:
        assert (await region.get("/v1/home", await ready(region))).headers.get(b"x-shout") == b"there"


async def test_a_filter_by_head_sees_each_head_once_and_again_when_it_has_changed(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        body = "seen = []\ndef apply(self, passage):\n    self.seen.append(passage.exchange.target)\n"
        for by_head, expected in ((True, 2), (False, 7)):
            await folder.write("own.py", inbound(body, by_head=by_head))
            await region.get("/v1/home?b", token)
            for _ in range(6):
                await region.get("/v1/home?a", token)
            own = next(one for one in region.gateway.reloading._own.installed)
            seen = own.apply.__self__.seen
            # The HTTP core knows a head from its second time on.
            assert expected <= len(seen) <= expected + 2, (by_head, seen)
            refusing = body.replace("self.seen.append(passage.exchange.target)", "raise Forbidden('Changed.')")
            await folder.write("own.py", inbound(refusing, by_head=by_head))
            assert [(await region.get("/v1/home?a", token)).status for _ in range(3)] == [403] * 3


async def test_a_request_under_way_keeps_the_filters_it_began_with(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        waiting = []
        region.upstreams[0].handler = waiting.append
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "old"))
        asked = asyncio.ensure_future(region.get("/v1/home", token))
        await until(lambda: waiting)
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "new"))
        waiting[0].reply(200, (), b"")
        assert (await asked).headers.get(b"x-shout") == b"old"


async def test_what_others_may_write_is_not_loaded(tmp_path):
    async with own_region(tmp_path) as region:
        await ready(region)
        folder = Folder(region, tmp_path)
        path = folder.path / "shout.py"
        path.write_text(HEADER_FILTER)
        path.chmod(0o666)
        await folder.look()
        assert "chmod go-w" in folder.status("shout.py").problem
        path.chmod(0o644)
        folder.path.chmod(0o777)
        await folder.look()
        assert "chmod go-w" in region.gateway.reloading.report().problem
        folder.path.chmod(0o755)
        await folder.look()
        assert folder.status("shout.py").state == "running"
        folder.path.chmod(0o777)
        await folder.look()
        assert folder.status("shout.py").state == "running"
        if os.geteuid() == 0:
            folder.path.chmod(0o755)
            os.chown(path, 12345, -1)
            await folder.look()
            assert "another user" in folder.status("shout.py").problem


async def test_contents_in_quarantine_run_again_only_when_they_are_changed(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "bad"))
        digest = folder.status("shout.py").digest
        Quarantine(tmp_path).add(Entry("shout.py", digest, "shout.py:15 in apply", 1.0, "gateway-2 (pid 7)"))
        await folder.look()
        status = folder.status("shout.py")
        assert (status.state, "gateway-2" in status.problem) == ("quarantined", True)
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") is None
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "good"))
        assert folder.status("shout.py").state == "running"
        await folder.write("shout.py", HEADER_FILTER.replace("{word}", "bad"))
        assert folder.status("shout.py").state == "quarantined"
        assert (await region.get("/v1/home", token)).headers.get(b"x-shout") == b"good"


async def test_operators_see_every_filter_and_nobody_else_does(tmp_path):
    async with own_region(tmp_path) as region:
        token = await ready(region)
        folder = Folder(region, tmp_path)
        await folder.write("shout.py", "nonsense(")
        response = await region.get("/v1/gateway/filters", token)
        report = msgspec.json.decode(response.body, type=FilterReport)
        assert [one.name for one in report.filters if one.kind == "inbound"][:2] == ["passport", "forwarded"]
        assert next(one for one in report.filters if one.name == "shout").state == "broken"
        assert (await region.get("/v1/gateway/filters")).status == 401
        viewer = bearer(await region.token("viewer"))
        assert (await region.get("/v1/gateway/filters", viewer)).status == 403
        assert (await region.get("/v1/gateway/filters", token, method="POST")).status == 405
        assert (await region.get("/v1/gateway/other", token)).status == 404


def test_a_filter_may_use_what_looks_its_module_up_later():
    text = b"""
from __future__ import annotations
import msgspec
class _Row(msgspec.Struct):
    x: int
class Own:
    kind, order = "inbound", 1
    def applies_to(self, route, *, opened): return True
    def apply(self, passage): return msgspec.json.decode(b'{"x": 3}', type=_Row).x
"""
    found = load(Source("late.py", "/nowhere/late.py", text, "0" * 64))
    assert found().apply(None) == 3
    with pytest.raises(FilterBroken, match="line 2"):
        load(Source("bad.py", "/nowhere/bad.py", b"\n1 / 0\n", "1" * 64))
