"""Bots of other libraries, with our client in place of theirs."""
