"""The front door: filters, routing, balancing, streaming both ways, events, and the pages of the user interface."""

from kinema.services.gateway.gateway import Gateway, create_gateway

__all__ = ["Gateway", "create_gateway"]
