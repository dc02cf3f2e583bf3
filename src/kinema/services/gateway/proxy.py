"""The endpoint that hands a request to a service and its answer back, both streamed (relay.py)."""

from random import Random

from kinema.core.clock import Clock
from kinema.http import Client
from kinema.resilience import FullJitter
from kinema.rpc.balance import Balancer
from kinema.rpc.budgets import Budgets
from kinema.services.gateway.passage import Lane, Passage
from kinema.services.gateway.relay import Relay, Relayed


class Proxy:
    """Calls services on behalf of clients."""

    def __init__(self, client: Client, balancer: Balancer, budgets: Budgets, clock: Clock) -> None:
        self.client = client
        self.balancer = balancer
        self.budgets = budgets
        self.clock = clock
        self.now = clock.monotonic
        self.backoff = FullJitter(base=0.02, most=0.2)
        self.draw = Random().random  # noqa: S311 (which passes a fault hits)

    def __call__(self, passage: Passage) -> None:
        """Endpoint: relay the request."""
        Relay(self, passage).begin()

    def relayed(self, lane: Lane) -> Relayed:
        """Return what the requests of a lane have in common."""
        found = lane.relayed
        if found is None:
            found = lane.relayed = Relayed(lane.route, self.budgets)
        return found
