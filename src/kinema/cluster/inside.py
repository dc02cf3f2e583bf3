"""Speaking to a region's services from beside it: through the registries, as a service, without the gateway."""

from pathlib import Path

import msgspec

from kinema.cluster import region_file
from kinema.cluster.ask import Answer, as_service, ask, expect
from kinema.core.errors import KinemaError, Unavailable
from kinema.model.discovery import Instance, Registry


class Inside:
    """The services of the region that runs on a data directory. Blocking; `name` is who we say we are."""

    def __init__(self, data_dir: Path, registries: tuple[str, ...] = (), name: str = "command-line") -> None:
        self._data_dir = data_dir
        self._name = name
        self._registries = registries or region_file.read(data_dir).registries

    def instances(self) -> tuple[Instance, ...]:
        """Return all registered instances, from the first registry that answers. Raises Unavailable when none does."""
        for address in self._registries:
            try:
                answer = self._send(address, "GET", "/v1/registry", timeout=2.0)
                return msgspec.json.decode(expect(answer, 200).body, type=Registry).instances
            except KinemaError:
                continue
        raise Unavailable("No registry of the region answers; it is starting or being stopped.")

    def of(self, service: str) -> tuple[Instance, ...]:
        """Return the instances of one service."""
        return tuple(instance for instance in self.instances() if instance.service == service)

    def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        ok: tuple[int, ...] = (200, 201, 204),
        timeout: float = 30.0,
    ) -> Answer:
        """Send a request to the first instance of a service that can be reached; raises the error that it answers with."""
        for instance in self.of(service):
            try:
                answer = self._send(instance.address, method, path, body, timeout=timeout)
            except Unavailable:
                continue
            return expect(answer, *ok)
        raise Unavailable(f"No instance of {service} answers; look at: kinema status")

    def call_each(self, service: str, path: str) -> list[Answer]:
        """GET a path from every instance of a service; those that do not answer are left out."""
        answers: list[Answer] = []
        for instance in self.of(service):
            try:
                answers.append(self._send(instance.address, "GET", path, timeout=2.0))
            except Unavailable:
                continue
        return answers

    def _send(self, address: str, method: str, path: str, body: object = None, *, timeout: float) -> Answer:
        encoded = None if body is None else msgspec.json.encode(body)
        return ask(
            f"http://{address}",
            method,
            path,
            headers=as_service(self._data_dir, self._name),
            body=encoded,
            timeout=timeout,
        )
