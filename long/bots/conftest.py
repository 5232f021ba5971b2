"""A bot's client, as the tests have it."""

from integrations.conftest import bot, bot_session

__all__ = ["bot", "bot_session"]
