"""Shots: where a film's pictures change at once, and how it is divided there."""
