"""Registration of the positions app."""

from django.apps import AppConfig


class PositionsConfig(AppConfig):
    """Configuration of the positions app."""

    name = "positions"
