"""Training and testing: batches, the loop, checkpoints."""
