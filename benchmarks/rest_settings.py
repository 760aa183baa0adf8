"""Settings of the REST benchmark: production's, with one more address."""

import os
from typing import Any

from tradingplatform.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.rest_urls"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
EXCHANGE_TRANSPORT = os.environ.get("BENCH_TRANSPORT", "redis")
LOGGING: dict[str, Any] = {"version": 1, "disable_existing_loggers": True}
