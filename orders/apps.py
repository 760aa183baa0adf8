"""Registration of the orders app."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Configuration of the orders app."""

    name = "orders"
