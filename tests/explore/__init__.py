"""The shipped login machine, walked through every interleaving that a small model has."""
