"""What operators change while everything runs: the runtime layer of properties, audited. `create_configuration` makes the app."""
