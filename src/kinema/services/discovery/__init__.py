"""The registry of instances: who is there, until when they are believed, told to whoever asks with a service identity."""

from kinema.services.discovery.app import create_discovery

__all__ = ["create_discovery"]
