"""Codecs: one row for each encoder that a rung may be made with."""
