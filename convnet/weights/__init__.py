"""Weights: initial values, learning-rate schedules, sharing, and their place in memory."""
