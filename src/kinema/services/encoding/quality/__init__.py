"""Quality: how good an encode looks, at which rate, and which encodes are worth having."""
