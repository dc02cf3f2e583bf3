"""What runs where, and keeping it running: topology, supervisor, readiness, logs. The package imports nothing heavy."""
