"""Registration of the wallets app."""

from django.apps import AppConfig


class WalletsConfig(AppConfig):
    """Configuration of the wallets app."""

    name = "wallets"
