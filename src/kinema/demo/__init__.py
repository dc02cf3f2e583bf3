"""The demo catalogue: a small procedural film studio and the program that puts its films into a region.

The studio paints every frame and plays every note from a seed, so there is nothing to license and nothing to download.
The seeding program (`kinema.demo.seed`) is a client like any other: it speaks to the region's public HTTP API only.
"""
