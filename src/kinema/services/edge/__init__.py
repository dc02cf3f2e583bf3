"""The edge: a node that keeps pieces of media near the viewers and serves them by byte range."""
