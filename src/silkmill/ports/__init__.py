"""What the core asks of the world: Protocols, each with its contract."""
