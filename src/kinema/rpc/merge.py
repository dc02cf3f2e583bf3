"""One list of instances out of the answers of several registries.

    known      the union of what the registries that answered last say
    kept       if none of these is settled (up for at least a lease), also everybody who was known before and has not left
    same name  two registries know an instance by different addresses: the later start wins
    out        who is out of service by any registry's word is known and not shown; unsettled ones do not end that by
               not knowing the instance

A registry that has just restarted knows nobody yet; that must not make everybody vanish. One that cannot be reached says
nothing; when all are gone, the last list stays for as long as that lasts.
"""

from kinema.model.discovery import Instance, Registry

STARTED = "started"  # metadata: Unix seconds at which the instance's process began


class Merge:
    """The last answer of each registry, and the list that follows from them."""

    def __init__(self) -> None:
        self._answers: dict[str, Registry] = {}
        self._known: dict[tuple[str, str], Instance] = {}
        self._out: set[str] = set()

    def heard(self, registry: str, answer: Registry) -> None:
        """A registry has answered."""
        self._answers[registry] = answer
        self._update()

    def lost(self, registry: str) -> None:
        """A registry did not answer: what it said before no longer counts."""
        if self._answers.pop(registry, None) is not None:
            self._update()

    @property
    def answering(self) -> bool:
        """Whether any registry answered when it was last asked."""
        return bool(self._answers)

    def instances(self) -> tuple[Instance, ...]:
        """Return everybody that may be called, by service and name."""
        return tuple(self._known[key] for key in sorted(self._known) if "/".join(key) not in self._out)

    def _update(self) -> None:
        settled = any(answer.settled for answer in self._answers.values())
        left = {name for answer in self._answers.values() for name in answer.left}
        kept = {} if settled else self._known
        known = {key: one for key, one in kept.items() if f"{one.service}/{one.instance}" not in left}
        for answer in self._answers.values():
            for one in answer.instances:
                key = (one.service, one.instance)
                if key not in known or started(one) >= started(known[key]):
                    known[key] = one
        out = {name for answer in self._answers.values() for name in answer.out_of_service}
        if not settled:
            listed = {f"{one.service}/{one.instance}" for answer in self._answers.values() for one in answer.instances}
            out |= self._out - listed
        self._known = known
        self._out = out


def started(instance: Instance) -> float:
    """Return the Unix seconds at which an instance's process began; 0 when it does not say."""
    try:
        return float(instance.metadata.get(STARTED, ""))
    except ValueError:
        return 0.0
