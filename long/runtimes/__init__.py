"""The examples, run by the runtimes that they are for."""
