"""Registration of the adminpanel app."""

from django.apps import AppConfig


class AdminpanelConfig(AppConfig):
    """Configuration of the adminpanel app."""

    name = "adminpanel"
