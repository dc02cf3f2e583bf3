"""What a gateway's push holds and has done, and how many WebSockets pass through, as samples for `Metrics.source`."""

from collections.abc import Iterator

from kinema.core.metrics import Sample, sample
from kinema.model.push import PushState


def push_samples(state: PushState, tunnels: int) -> Iterator[Sample]:
    """Yield connections by transport, messages, deliveries, and connections cut by reason."""
    for one in state.transports:
        yield sample("kinema_push_connections", one.open, transport=one.transport)
    yield sample("kinema_push_messages_total", state.messages, result="taken")
    yield sample("kinema_push_messages_total", state.repeated, result="repeated")
    yield sample("kinema_push_deliveries_total", state.delivered)
    for reason, count in state.dropped.items():
        yield sample("kinema_push_dropped_total", count, reason=reason)
    yield sample("kinema_websocket_tunnels", tunnels)
