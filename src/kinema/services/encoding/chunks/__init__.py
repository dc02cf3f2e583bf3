"""Chunks: a film is encoded in pieces that begin with a shot, each by itself, and joined without encoding again."""
