"""The conformance suite of the stores: one contract, a few lines per backend."""
