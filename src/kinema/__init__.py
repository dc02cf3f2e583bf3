"""Kinema: a self-hosted streaming service."""

__version__ = "0.1.0"
