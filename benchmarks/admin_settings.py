"""Settings of the back-office benchmark: production's, asked by the test client and silent."""

from typing import Any

from tradingplatform.settings import *  # noqa: F403

ALLOWED_HOSTS = ["testserver"]
LOGGING: dict[str, Any] = {"version": 1, "disable_existing_loggers": True}
