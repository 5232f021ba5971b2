"""One live Betfair session token, shared by any number of functions and bots."""
