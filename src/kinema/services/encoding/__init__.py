"""Encoding: takes films in, makes them playable, announces them to catalog."""
