"""Registration of the markets app."""

from django.apps import AppConfig


class MarketsConfig(AppConfig):
    """Configuration of the markets app."""

    name = "markets"
