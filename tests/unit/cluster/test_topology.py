import msgspec
import pytest

from kinema.cluster import topology
from kinema.cluster.topology import Process, Topology
from kinema.core.errors import BadInput
from kinema.wiring.services import SERVICES


def built_in(tmp_path):
    return topology.load(tmp_path)


def test_the_built_in_topology_has_two_of_everything_that_answers_requests(tmp_path):
    plan = built_in(tmp_path)
    for service in ("discovery", "members", "catalog", "playback", "encoding", "configuration", "telemetry", "gateway"):
        assert len(plan.carrying(service)) == 2


def test_what_runs_in_cells_is_what_wiring_can_build():
    assert frozenset(SERVICES) == topology.IN_CELLS


def test_a_file_in_the_data_directory_takes_its_place(tmp_path):
    text = topology._BUILT_IN.read_text().replace("worker-1", "worker-7")
    (tmp_path / "topology.toml").write_text(text)
    assert [process.name for process in topology.load(tmp_path).carrying("worker")] == ["worker-7"]


def changed(plan, process, facts):

    return Topology(
        tuple(msgspec.structs.replace(one, **facts) if one.name == process else one for one in plan.process)
    )


@pytest.mark.parametrize(
    ("name", "facts", "says"),
    [
        ("worker-1", {"name": "worker"}, "'worker' is no name of a process"),
        ("worker-1", {"services": ()}, "worker-1 carries nothing"),
        ("worker-1", {"services": ("wurker",)}, "'wurker', which is no service"),
        ("worker-1", {"services": ("worker", "catalog")}, "worker needs a process alone"),
        ("cell-2", {"name": "cell-1"}, "two instances discovery-1"),
        ("edge-1", {"wave": 2}, "No process of wave 1 carries edge"),
    ],
)
def test_a_mistake_is_named(tmp_path, name, facts, says):
    with pytest.raises(BadInput, match=says):
        topology.check(changed(built_in(tmp_path), name, facts))


def test_a_region_can_do_without_configuration(tmp_path):
    processes = [
        msgspec.structs.replace(one, services=tuple(name for name in one.services if name != "configuration"))
        for one in built_in(tmp_path).process
    ]
    topology.check(msgspec.structs.replace(built_in(tmp_path), process=tuple(processes)))


def test_a_missing_service_is_named(tmp_path):
    plan = Topology(tuple(one for one in built_in(tmp_path).process if one.name != "edge-1"))
    with pytest.raises(BadInput, match="No process carries edge"):
        topology.check(plan)


@pytest.mark.parametrize(
    "text", ["[[process]", '[[process]]\nname = "a-1"', '[[process]]\nname="a-1"\nservices=["edge"]\nwaves=1']
)
def test_a_file_that_is_no_topology_is_named(tmp_path, text):
    path = tmp_path / "topology.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        topology.load(tmp_path)
    assert str(caught.value).startswith(f"The topology {path} cannot be used: ")


def test_instances_take_the_number_of_their_process():
    assert Process("cell-12", ("catalog",)).instance("catalog") == "catalog-12"
