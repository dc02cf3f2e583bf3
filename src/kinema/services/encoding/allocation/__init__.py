"""Allocation: which rungs a title gets, and how each rung's bits are divided among its shots."""
