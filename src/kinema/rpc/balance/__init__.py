"""Picking policies: which of several live instances a request goes to. One balancer serves the gateway and rpc."""

from kinema.rpc.balance.balancer import Balancer, InstanceSource

__all__ = ["Balancer", "InstanceSource"]
