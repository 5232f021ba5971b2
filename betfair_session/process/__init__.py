"""What one process's threads, event loops and forks share."""
