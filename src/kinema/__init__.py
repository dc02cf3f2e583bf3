"""Kinema: a self-hosted streaming service."""
