"""The places a token may be kept in, behind one contract."""
