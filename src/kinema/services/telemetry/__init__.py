"""Telemetry: what the processes report of themselves, kept for a while and shown to operators."""
