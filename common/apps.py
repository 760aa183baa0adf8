"""Registration of the common app."""

from django.apps import AppConfig
from django.urls import register_converter

from common.ids import IdConverter


class CommonConfig(AppConfig):
    """Configuration of the common app."""

    name = "common"

    def ready(self) -> None:
        """Make ``<id:...>`` known before any module of addresses is read."""
        register_converter(IdConverter, "id")
