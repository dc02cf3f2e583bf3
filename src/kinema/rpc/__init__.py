"""How services speak to each other: the one way to call (client, directory, balance) and the one way to be called (service)."""
