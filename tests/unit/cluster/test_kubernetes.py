import json
from pathlib import Path

import kubernetes_validate

from kinema.cluster import topology
from kinema.cluster.kubernetes import autoscalers

WRITTEN = Path(__file__).parents[3] / "deploy" / "kubernetes" / "autoscalers.json"


def test_kubernetes_takes_what_is_written(tmp_path):
    document = json.loads(autoscalers(topology.load(tmp_path)))
    for item in document["items"]:
        kubernetes_validate.validate(item, "1.34", strict=True)
    assert [item["metadata"]["name"] for item in document["items"]] == [
        "gateway",
        "catalog",
        "configuration",
        "encoding",
        "members",
        "playback",
        "telemetry",
    ]


def test_what_is_deployed_is_what_the_built_in_topology_says(tmp_path):
    assert WRITTEN.read_text() == autoscalers(topology.load(tmp_path))
