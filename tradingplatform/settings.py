"""Settings: everything that varies comes from the environment or ``.env`` (see .env.example)."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# The sheet's name for the mode of the installation; "production" turns every guard on.
ENVIRONMENT = env.str("NODE_ENV", "development")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = False

# All run-time files live under one directory: database, keys, sockets, logs.
VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var")))

HOST = env.str("HOST", "localhost")
PORT = env.int("PORT", 3000)

SECRET_KEY = env.str("SESSION_SECRET", "development-only-session-secret")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", HOST])

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "corsheaders",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "exchange",
    "common",
    "accounts",
    "markets",
    "wallets",
    "orders",
    "adminpanel",
    "tradingplatform",
]

MIDDLEWARE = [
    "common.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tradingplatform.urls"
WSGI_APPLICATION = "tradingplatform.wsgi.application"
ASGI_APPLICATION = "tradingplatform.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "common.fields.KeyField"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "tradingplatform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# IMMEDIATE: a deferred read-then-write fails at once with "locked" whatever the timeout.
# FULL: acknowledged means on disk, so every commit is synced.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR_DIR / "exchange.sqlite3",
        "OPTIONS": {
            "timeout": 15,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    },
}

# Each app that owns rows of the exchange writes them in the exchange's own transaction.
EXCHANGE_PROJECTIONS = [
    "markets.projection.MarketProjection",
    "accounts.projection.AccountProjection",
    "wallets.projection.WalletProjection",
    "orders.projection.OrderProjection",
]

REDIS_URL = env.str("REDIS_URL", f"unix://{VAR_DIR}/redis.sock")
REDIS_PREFIX = env.str("REDIS_PREFIX", "crypto:")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["common.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["common.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "common.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
