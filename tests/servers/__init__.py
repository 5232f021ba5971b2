"""Real servers on loopback for the tests: object stores, sftp, and a proxy that makes faults."""
