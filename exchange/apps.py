"""Registration of the exchange app."""

from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    """Configuration of the exchange app."""

    name = "exchange"
