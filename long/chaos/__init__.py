"""Many real processes, killed and frozen, while tokens are killed, deleted and replaced."""
