"""Registration of the common app."""

from django.apps import AppConfig


class CommonConfig(AppConfig):
    """Configuration of the common app."""

    name = "common"
