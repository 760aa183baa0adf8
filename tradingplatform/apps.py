"""Registration of the project itself: supervisor, health, front page."""

from django.apps import AppConfig


class TradingplatformConfig(AppConfig):
    """Configuration of the tradingplatform app."""

    name = "tradingplatform"
