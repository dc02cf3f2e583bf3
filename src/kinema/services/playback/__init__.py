"""Starting a play: rights, manifest texts for this device, edges, tokens. `create_playback` makes the app."""
