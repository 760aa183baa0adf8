"""Registration of the project itself: supervisor, health, front page."""

from django.apps import AppConfig


class TradingplatformConfig(AppConfig):
    """Configuration of the tradingplatform app."""

    name = "tradingplatform"

    def ready(self) -> None:
        """Make the Celery application the default one of every process that enqueues."""
        from tradingplatform import celery  # noqa: F401 - imported for its effect
