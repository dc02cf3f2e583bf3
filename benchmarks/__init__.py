"""Measurements, run as `python -m benchmarks.NAME`. Each prints a table and, as its last line, one JSON object or figure."""
