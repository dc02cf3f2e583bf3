"""Picking policies: which of several live instances a request goes to. One balancer serves the gateway and rpc."""

from kinema.rpc.balance.balancer import UTILISATION, Balancer, Held, InstanceSource
from kinema.rpc.balance.guards import GuardLimits
from kinema.rpc.balance.outcome import Outcome, outcome_of_error, outcome_of_status

__all__ = [
    "UTILISATION",
    "Balancer",
    "GuardLimits",
    "Held",
    "InstanceSource",
    "Outcome",
    "outcome_of_error",
    "outcome_of_status",
]
