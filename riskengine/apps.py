"""Registration of the riskengine app."""

from django.apps import AppConfig


class RiskEngineConfig(AppConfig):
    """Configuration of the riskengine app."""

    name = "riskengine"
    verbose_name = "risk engine"
