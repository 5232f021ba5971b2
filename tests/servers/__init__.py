"""Real servers on loopback for the tests, and a stub of the clouds that makes faults."""
