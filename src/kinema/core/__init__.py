"""What every room stands on: time, names, errors, settings, logging, keys. No I/O beyond the key files and the settings file."""
