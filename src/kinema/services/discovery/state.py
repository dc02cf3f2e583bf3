"""A registry as its operators see it."""

from kinema.core.properties import Properties
from kinema.model.discovery import LeaseState, RegistryState
from kinema.services.discovery.entries import Entry
from kinema.services.discovery.instances import InstanceRegistry
from kinema.services.discovery.preservation import THRESHOLD
from kinema.services.discovery.replication import Replication

_MOST_SHOWN = 1_000


def state_of(name: str, registry: InstanceRegistry, replication: Replication, properties: Properties) -> RegistryState:
    """Return the registry's present state; of many instances the region's own and the longest silent are shown."""
    now = registry.time.now()
    entries = sorted(registry.entries, key=lambda entry: (entry.signed is None, entry.renewed))
    shown = entries[:_MOST_SHOWN]
    judgement = registry.judgement
    signed = len(registry.entries.signed)
    return RegistryState(
        registry=name,
        settled=registry.settled,
        instances=tuple(_lease(entry, now) for entry in shown),
        instances_left_out=len(entries) - len(shown),
        signed=signed,
        foreign=len(entries) - signed,
        late=judgement.late,
        overdue=judgement.overdue,
        renewals_per_minute=registry.renewals.per_minute(now),
        expected_per_minute=round(judgement.expected_per_minute, 1),
        threshold_per_minute=round(judgement.expected_per_minute * properties[THRESHOLD], 1),
        self_preservation=judgement.on,
        peers=tuple(peer.state() for peer in replication.peers),
    )


def _lease(entry: Entry, now: float) -> LeaseState:
    info = entry.info
    return LeaseState(
        application=info.app,
        instance=info.id,
        address=f"{info.ip_address}:{info.port.number}",
        signed=entry.signed is not None,
        status=entry.status,
        override=entry.override,
        age_seconds=round(now - entry.renewed, 1),
        lease_seconds=entry.duration,
        registered_at=entry.registered_ms / 1000,
    )
