"""The layer graph: how layers are wired, what shapes they have, on which devices they run."""
