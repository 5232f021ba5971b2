"""A bot's client, as the tests have it."""

from integrations.conftest import bot

__all__ = ["bot"]
