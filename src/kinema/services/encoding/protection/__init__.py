"""Protection of films: the keys of their tracks, sealed at rest, and the encryption of tracks with them."""
