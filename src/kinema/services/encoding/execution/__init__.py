"""Execution: kinds of work as pure functions, what is done of them, and the machines that do it."""
