"""Registration of the accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Configuration of the accounts app."""

    name = "accounts"

    def ready(self) -> None:
        """Let the API's documentation know our authentication."""
        from accounts import schema  # noqa: F401 - importing registers it
