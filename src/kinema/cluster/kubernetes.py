"""The same scaling on Kubernetes: a HorizontalPodAutoscaler for each service of each group that may grow.

On Kubernetes each service has a Deployment of its own name that runs `kinema serve NAME`. What `autoscaling.Plan` says is said
there in the API's words (autoscaling/v2): a target of processor use, at most doubling within a warm-up, the largest wish of
a window before anything is taken away. The cluster measures; prediction is left to this machine's own autoscaler.
"""

import json
import math

from kinema.cluster.autoscaling import Plan
from kinema.cluster.topology import Topology


def autoscalers(topology: Topology) -> str:
    """Return a `List` of HorizontalPodAutoscalers as JSON, which `kubectl apply -f` takes."""
    items = []
    for scale in topology.scale:
        members = topology.group(scale.group)
        for service in sorted({service for member in members for service in member.services} - {"discovery"}):
            carried = len(topology.carrying(service))
            items.append(_autoscaler(service, Plan(least=carried, most=max(carried, scale.most), target=scale.target)))
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"


def _autoscaler(service: str, plan: Plan) -> dict[str, object]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": service, "labels": {"app.kubernetes.io/part-of": "kinema"}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service},
            "minReplicas": plan.least,
            "maxReplicas": plan.most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": round(plan.target * 100)},
                    },
                }
            ],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": math.ceil(plan.warm_up_seconds)}],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": math.ceil(plan.in_seconds),
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": math.ceil(plan.warm_up_seconds)}],
                },
            },
        },
    }
