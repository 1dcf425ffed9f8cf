"""The plan: everything that is settled before the first minibatch, as a list of steps."""
