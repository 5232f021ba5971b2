"""Every request of every way through get_session, broken in every way."""
