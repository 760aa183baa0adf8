"""Settings of the test suite: no .env, no servers, a directory of its own."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["ENV_FILE"] = os.devnull
os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="exchange-tests-")
atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
for _name in ("NODE_ENV", "FEED_MODE", "REDIS_URL", "DATABASE_URL", "MONGODB_URI", "LOG_DIR"):
    os.environ.pop(_name, None)

from tradingplatform.settings import *  # noqa: E402, F403 - the environment comes first
from tradingplatform.settings import LOGGING, VAR_DIR  # noqa: E402

EXCHANGE_TRANSPORT = "inline"
LIMITS_STORAGE = "memory"

# The suite's database is in memory; journal and fsync would only cost time.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(VAR_DIR) / "tests.sqlite3",
        "OPTIONS": {"timeout": 15, "transaction_mode": "IMMEDIATE"},
    },
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
CELERY_TASK_ALWAYS_EAGER = True
# One bcrypt costs 0.2 s; the real hasher has tests of its own.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files are looked for when one is asked for: each test client would list all of them.
WHITENOISE_AUTOREFRESH = True

LOGGING["handlers"].pop("file", None)
LOGGING["root"]["handlers"] = []
