"""The services that run in cells, by name: how each is built from the parts of its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kinema.wiring.parts import Parts

if TYPE_CHECKING:
    from litestar import Litestar


def _discovery(instance: str, parts: Parts) -> Litestar:
    from kinema.services.discovery.app import create_discovery
    from kinema.services.discovery.remote_regions import parse_regions

    placement, settings = parts.placement, parts.settings
    own = placement.registry_port and f"127.0.0.1:{placement.registry_port}"
    return create_discovery(
        instance=instance,
        keys=parts.keys,
        clock=parts.clock,
        client=parts.client,
        peers=[registry for registry in placement.registries if registry != own],
        region=settings.region,
        regions=parse_regions(settings.registry_regions),
        token=settings.registry_token,
        properties=parts.properties.at("discovery", instance),
    )


def _members(instance: str, parts: Parts) -> Litestar:
    from kinema.services.members.app import create_members

    return create_members(
        instance=instance,
        sql=parts.sql("members"),
        keys=parts.keys,
        clock=parts.clock,
        session_days=parts.settings.session_days,
    )


def _catalog(instance: str, parts: Parts) -> Litestar:
    from kinema.services.catalog.app import create_catalog

    return create_catalog(
        instance=instance,
        sql=parts.sql("catalog"),
        blobs=parts.blobs("catalog"),
        keys=parts.keys,
        clock=parts.clock,
        calls=parts.rpc,
    )


def _playback(instance: str, parts: Parts) -> Litestar:
    from kinema.services.playback.app import create_playback

    return create_playback(
        instance=instance,
        sql=parts.sql("playback"),
        blobs=parts.blobs("playback"),
        cache=parts.cache("manifests"),
        keys=parts.keys,
        clock=parts.clock,
        calls=parts.rpc,
        directory=parts.directory,
        token_seconds=parts.settings.media_token_seconds,
    )


def _encoding(instance: str, parts: Parts) -> Litestar:
    from kinema.services.encoding.app import create_encoding

    return create_encoding(
        instance=instance,
        sql=parts.sql("encoding"),
        blobs=parts.blobs("encoding"),
        keys=parts.keys,
        clock=parts.clock,
        calls=parts.rpc,
        upload_limit_bytes=parts.settings.upload_limit_bytes,
        properties=parts.properties.at("encoding", instance),
    )


def _configuration(instance: str, parts: Parts) -> Litestar:
    from kinema.services.configuration.app import create_configuration

    return create_configuration(
        instance=instance,
        sql=parts.sql("configuration"),
        keys=parts.keys,
        clock=parts.clock,
        properties=parts.properties,
        calls=parts.rpc,
        directory=parts.directory,
    )


def _telemetry(instance: str, parts: Parts) -> Litestar:
    from kinema.observe import objectives
    from kinema.services.telemetry.app import create_telemetry

    return create_telemetry(
        instance=instance,
        sql=parts.sql("telemetry"),
        keys=parts.keys,
        clock=parts.clock,
        objectives=objectives.load(parts.data_dir),
        properties=parts.properties.at("telemetry", instance),
    )


SERVICES: dict[str, Callable[[str, Parts], Litestar]] = {
    "discovery": _discovery,
    "members": _members,
    "catalog": _catalog,
    "playback": _playback,
    "encoding": _encoding,
    "configuration": _configuration,
    "telemetry": _telemetry,
}
"""The services that run in cells: adding one is one row."""
