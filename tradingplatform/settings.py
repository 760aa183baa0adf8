"""Settings: everything that varies comes from the environment or ``.env`` (see .env.example)."""

import os
import sys
from pathlib import Path
from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF

from tradingplatform.configuration import load_or_exit
from tradingplatform.databases import database_settings
from tradingplatform.log import configure_structlog, logging_settings
from tradingplatform.mail_urls import mail_settings
from tradingplatform.mongodb import settings as mongodb
from tradingplatform.redis_urls import celery_broker_url, socket_path
from tradingplatform.schedule import BEAT_SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
env = load_or_exit(BASE_DIR)

# The sheet's name for the mode of the installation; "production" turns every guard on.
ENVIRONMENT = env.choice("NODE_ENV")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = False

# All run-time files live under one directory: database, keys, sockets, logs.
VAR_DIR = BASE_DIR / env.text("VAR_DIR")
LOG_DIR = BASE_DIR / env.text("LOG_DIR") if env.is_set("LOG_DIR") else VAR_DIR / "log"
# A container's output is collected from outside: its root is read-only and gone with it.
LOG_FILES = env.text("LOG_DIR") != "-"
if not LOG_FILES:
    LOG_DIR = VAR_DIR / "log"
KEYS_DIR = VAR_DIR / "keys"

HOST = env.text("HOST")
PORT = env.integer("PORT")

SECRET_KEY = env.text("SESSION_SECRET")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]", HOST]

INSTALLED_APPS = [
    "unfold",
    # Its modules are imported with the urls: only the web process needs them.
    "django.contrib.admin.apps.SimpleAdminConfig",
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
    "positions",
    "riskengine",
    "adminpanel",
    "tradingplatform",
]

MIDDLEWARE = [
    "common.middleware.RequestIdMiddleware",
    "tradingplatform.middleware.ProbeHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.compression.PublicGZipMiddleware",
    "tradingplatform.middleware.BackOfficeAddressMiddleware",
    "tradingplatform.middleware.MetricsMiddleware",
    "tradingplatform.middleware.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "common.browser_middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "common.browser_middleware.AuthenticationMiddleware",
    "common.browser_middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tradingplatform.urls"
WSGI_APPLICATION = "tradingplatform.wsgi.application"
ASGI_APPLICATION = "tradingplatform.asgi.application"
AUTH_USER_MODEL = "accounts.User"
# Tables of the framework only: every model of ours names its own key.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
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

# --- database -----------------------------------------------------------------------------
DATABASE_URL = env.text("DATABASE_URL")
MONGODB_URI = env.text("MONGODB_URI")
_POOL = {
    "pool_min": env.integer("DB_MIN_POOL_SIZE"),
    "pool_max": env.integer("DB_MAX_POOL_SIZE"),
}
if MONGODB_URI:
    DATABASES = {
        "default": mongodb.mongodb_settings(MONGODB_URI, name=env.text("DB_NAME"), **_POOL)
    }
    INSTALLED_APPS = mongodb.installed_apps(INSTALLED_APPS)
    MIGRATION_MODULES = mongodb.MIGRATION_MODULES
    SILENCED_SYSTEM_CHECKS = mongodb.SILENCED_SYSTEM_CHECKS
else:
    DATABASES = database_settings(DATABASE_URL, var_dir=VAR_DIR, **_POOL)

# --- the exchange -------------------------------------------------------------------------
# Each app that owns rows of the exchange writes them in the exchange's own transaction.
EXCHANGE_PROJECTIONS = [
    "markets.projection.MarketProjection",
    "accounts.projection.AccountProjection",
    "wallets.projection.WalletProjection",
    "orders.projection.OrderProjection",
    "orders.safeguard_projection.SafeguardProjection",
    "positions.projection.PositionProjection",
    "riskengine.projection.RiskProjection",
]
# "redis": the runner process; "inline": the same engine and store in this process (tests, tools).
EXCHANGE_TRANSPORT = "redis"
# Never-filled orders that ended longer ago are removed (0: none).
ORDER_RETENTION_DAYS = env.integer("ORDER_RETENTION_DAYS")
COMMAND_LOG_RETENTION_HOURS = env.integer("COMMAND_LOG_RETENTION_HOURS")
# Derived views, built from the published events by `manage.py run_projector`.
EVENT_PROJECTORS: list[str] = [
    "markets.live.projector.PublicProjector",
    "orders.live.PrivateProjector",
    "riskengine.live.PerpetualProjector",
]
# Private channels of apps above the orders, whose stream they share: what an event means to an
# account, and what a subscription begins with.
PRIVATE_FRAMES = ["positions.live.position_frames"]
PRIVATE_SNAPSHOTS = {
    "positions": "positions.live.positions_snapshot",
    "margin": "riskengine.notices.margin_snapshot",
    "notices": "accounts.notices.notices_snapshot",
    "withdrawals": "wallets.withdrawals.tell.withdrawals_snapshot",
}

# What operators may do, declared by each app.
OPERATIONS = [
    "accounts.user_operations.OPERATIONS",
    "accounts.notice_operations.OPERATIONS",
    "markets.operations.OPERATIONS",
    "markets.configure_operations.OPERATIONS",
    "markets.source_operations.OPERATIONS",
    "wallets.operations.OPERATIONS",
    "wallets.withdrawals.operations.OPERATIONS",
    "orders.operations.OPERATIONS",
    "positions.operations.OPERATIONS",
    "riskengine.operations.OPERATIONS",
    "adminpanel.operations.OPERATIONS",
]
# What one operator moves within a day without a second person, in atoms of USDT.
APPROVAL_LIMIT_ATOMS = env.integer("APPROVAL_LIMIT_USDT") * 10**8

# How long a new address, or changed credentials, keep money from being withdrawn.
WITHDRAWAL_DELAY_MS = env.integer("WITHDRAWAL_ADDRESS_DELAY") * 3_600_000

FEED_MODE = env.choice("FEED_MODE")
BINANCE_API_KEY = env.text("BINANCE_API_KEY")
BINANCE_API_SECRET = env.text("BINANCE_API_SECRET")
COINBASE_API_KEY = env.text("COINBASE_API_KEY")
KRAKEN_API_KEY = env.text("KRAKEN_API_KEY")
# Venues whose public prices make the index; what to call them with.
PRICE_SOURCES = {
    "binance": {"url": env.text("BINANCE_URL"), "api_key": BINANCE_API_KEY},
    "coinbase": {"url": env.text("COINBASE_URL"), "api_key": COINBASE_API_KEY},
    "kraken": {"url": env.text("KRAKEN_URL"), "api_key": KRAKEN_API_KEY},
}
REPLAY_SPEED_E8 = env.rate_e8("REPLAY_SPEED")
# Candles and the tape are made of trades, which belong to an app above the markets.
TRADES_AFTER = "orders.trade_feed.trades_after"
TRADES_RECENT = "orders.trade_feed.trades_recent"
# Terms and prices of perpetual markets are rows of the risk engine, read by apps below it.
CONTRACTS_BY_ID = "riskengine.selectors.contracts_by_id"
PRICES_BY_ID = "riskengine.selectors.prices_by_id"
# What backs positions is known above the wallets that back them.
MARGIN_SUMMARIES = "positions.standing.margin_summaries"
PREVIEW_IMAGE = "positions.preview.image_fill"
PREVIEW_MARGIN = "positions.preview.margin_after"
# What the platform needs is known at its top; the back-office below shows it.
READINESS_CHECKS = "tradingplatform.health.check_all"
# Seed an empty database only; rates in 10^-8.
MAKER_FEE_E8 = env.rate_e8("MAKER_FEE")
TAKER_FEE_E8 = env.rate_e8("TAKER_FEE")
DEFAULT_LEVERAGE = env.integer("DEFAULT_LEVERAGE")
MAX_LEVERAGE = env.integer("MAX_LEVERAGE")
LIQUIDATION_FEE_E8 = env.rate_e8("LIQUIDATION_FEE")
FUNDING_INTERVAL_MS = env.duration_ms("FUNDING_INTERVAL")
ADMIN_EMAIL = env.text("ADMIN_EMAIL")
ADMIN_PASSWORD = env.text("ADMIN_PASSWORD")
DEMO_PASSWORD = env.text("DEMO_PASSWORD")
MARKET_MAKER = env.flag("MARKET_MAKER")

# --- Redis: transport, cache, channel layer, broker ----------------------------------------
REDIS_IS_EXTERNAL = env.is_set("REDIS_URL")
REDIS_URL = env.text("REDIS_URL") or f"unix://{socket_path(VAR_DIR)}"
REDIS_PREFIX = env.text("REDIS_PREFIX")
REDIS_FSYNC = env.choice("REDIS_FSYNC")
# The transport's Redis must not evict; what only saves work may live in one that does.
CACHE_REDIS_URL = env.text("CACHE_REDIS_URL") or REDIS_URL

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": CACHE_REDIS_URL,
        "KEY_PREFIX": f"{REDIS_PREFIX}cache",
        "TIMEOUT": 300,
        "OPTIONS": {
            # Pickles from a shared Redis would be code from whoever writes there.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 2,
            "SOCKET_TIMEOUT": 2,
        },
    },
}
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": f"{REDIS_PREFIX}channels"},
    },
}

CELERY_BROKER_URL = celery_broker_url(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_PREFIX}celery:",
    # A task that a dead worker had taken is delivered again after this; it must exceed every
    # time limit and delay, or a task that still runs would be delivered again too.
    "visibility_timeout": 7_200,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
# Of a task that names none; ``tradingplatform.jobs`` ends the worker of one that passes it.
CELERY_TASK_TIME_LIMIT = 60
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE
CELERY_BEAT_SCHEDULER = "tradingplatform.beat:Scheduler"

# --- tokens and sessions ------------------------------------------------------------------
JWT_PRIVATE_KEY = env.key("JWT_PRIVATE_KEY")
JWT_PUBLIC_KEY = env.key("JWT_PUBLIC_KEY")
JWT_ACCESS_LIFETIME_MS = env.duration_ms("JWT_EXPIRES_IN")
JWT_REFRESH_LIFETIME_MS = env.duration_ms("JWT_REFRESH_EXPIRES_IN")

JWT_ISSUER = "crypto-exchange"
JWT_AUDIENCE = "crypto-exchange-api"

# Encrypt what must be read again: secrets of API keys and second factors.
SECRETS_KEYS = env.items("SECRETS_KEYS")
# Who may do nothing but set up a second factor until they have one: none, staff or all.
TWO_FACTOR = env.choice("TWO_FACTOR")
if TWO_FACTOR == "auto":
    TWO_FACTOR = "staff" if PRODUCTION else "none"

# Browser sessions serve the back-office only; the API uses tokens.
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
# The prefix makes browsers insist on TLS, this host alone and the whole site.
SESSION_COOKIE_NAME = "__Host-exchange_session" if PRODUCTION else "exchange_session"
CSRF_COOKIE_NAME = "__Host-csrftoken" if PRODUCTION else "csrftoken"
SESSION_COOKIE_AGE = env.integer("SESSION_MAX_AGE") // 1000
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = PRODUCTION

AUTHENTICATION_BACKENDS = ["accounts.backends.LoginBackend"]
CSRF_FAILURE_VIEW = "common.views.csrf_failure"

# Seal the audit log; the first seals, all verify. None: the secret of the sessions.
AUDIT_KEYS = env.items("AUDIT_KEYS")

# A login costs 0.2 s of a core: this many at once per process, the others wait a moment.
PASSWORD_HASHES_AT_ONCE = 1

# With bcrypt 5 the plain hasher raises above 72 bytes; hashing first takes any length.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Good for an hour, and once: it rests on the password that it replaces.
PASSWORD_RESET_TIMEOUT = 3_600

# --- e-mail -------------------------------------------------------------------------------
EMAIL_URL = env.text("EMAIL_URL") or ("off:" if PRODUCTION else "file:")
globals().update(mail_settings(EMAIL_URL, directory=VAR_DIR / "mail"))
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM")

# --- limits -------------------------------------------------------------------------------
RATE_LIMIT_WINDOW_MS = env.integer("RATE_LIMIT_WINDOW_MS")
RATE_LIMIT_MAX_REQUESTS = env.integer("RATE_LIMIT_MAX_REQUESTS")
# "memory" counts in one process only: for tests.
LIMITS_STORAGE = "redis"
NUM_PROXIES = env.integer("NUM_PROXIES")
METRICS_TOKEN = env.text("METRICS_TOKEN")
REGISTER_LIMIT_PER_HOUR = env.integer("REGISTER_LIMIT_PER_HOUR")
# A request waits for its commit in a thread of its own.
WEB_THREADS = env.integer("WEB_THREADS")
WS_PING_INTERVAL_MS = env.integer("WS_PING_INTERVAL")
WS_PING_TIMEOUT_MS = env.integer("WS_PING_TIMEOUT")
WS_MAX_CONNECTIONS = env.integer("WS_MAX_CONNECTIONS")
WS_MAX_CONNECTIONS_PER_IP = env.integer("WS_MAX_CONNECTIONS_PER_IP")
WS_RATE_LIMIT_POINTS = env.integer("WS_RATE_LIMIT_POINTS")
WS_RATE_LIMIT_DURATION_S = env.integer("WS_RATE_LIMIT_DURATION")
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000

# --- browsers -----------------------------------------------------------------------------
# The default origin is a page under development.
_ORIGINS = env.items("CORS_ORIGIN") if env.is_set("CORS_ORIGIN") or not PRODUCTION else []
CORS_ALLOWED_ORIGINS = [origin for origin in _ORIGINS if origin != "*"]
CORS_ALLOW_ALL_ORIGINS = "*" in _ORIGINS
CORS_ALLOW_CREDENTIALS = env.flag("CORS_CREDENTIALS")
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (
    *default_headers,
    "x-2fa-code",
    "x-api-key",
    "x-nonce",
    "x-recv-window",
    "x-request-id",
    "x-signature",
    "x-timestamp",
)
CORS_EXPOSE_HEADERS = [
    "Retry-After",
    "X-Request-ID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
]

ADMIN_PATH = env.text("ADMIN_PATH")
ADMIN_ALLOWED_NETWORKS = env.networks("ADMIN_ALLOWED_NETWORKS")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    },
}
CONTENT_POLICY_BY_PREFIX: dict[str, dict[str, list[str]]] = {
    f"/{ADMIN_PATH}/": {
        "script-src": [SELF, "'unsafe-eval'", "'unsafe-inline'"],
        "style-src": [SELF, "'unsafe-inline'"],
    },
    "/api/docs": {"style-src": [SELF, "'unsafe-inline'"]},
    # The one style that the charts add to their page: that of their attribution logo.
    "/markets/": {"style-src": [SELF, "'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='"]},
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
# Asked by machines inside the installation, which speak to a process without the proxy.
SECURE_REDIRECT_EXEMPT = [r"^api/health", r"^api/metrics$"]
# The proxy in front ends TLS and sets this header; without one, strangers would.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if NUM_PROXIES else None

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "common.formats"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / env.text("STATIC_DIR") if env.is_set("STATIC_DIR") else VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "tradingplatform" / "static"]
# Development serves straight from the packages; production collects first.
WHITENOISE_USE_FINDERS = not PRODUCTION

# --- API ----------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.SessionTokenAuthentication",
        "accounts.key_authentication.ApiKeyAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.access.HasSession"],
    "DEFAULT_PARSER_CLASSES": ["common.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["common.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "common.exceptions.exception_handler",
    "DEFAULT_THROTTLE_CLASSES": ["common.limits.RequestThrottle"],
    "URL_FORMAT_OVERRIDE": None,
    # OPTIONS would describe views to strangers; CORS pre-flight is answered before any view.
    "DEFAULT_METADATA_CLASS": None,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Exchange API",
    "DESCRIPTION": "Amounts and prices are decimal strings, ids are strings, times are integer"
    " milliseconds UTC. Errors carry a stable code.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/",
    "ENUM_NAME_OVERRIDES": {
        "PriceSourceEnum": ["live", "replay"],
        "WalletEnum": ["spot", "margin"],
        "ApiKeyKindEnum": "accounts.enums.KeyKind",
        "ApiKeyScopeEnum": "accounts.enums.Scope",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.openapi.postprocess_error_schema",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/favicon.svg",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "displayRequestDuration": True},
}
# Tabs of a user's page, in their order, by the apps that own what they show.
ACCOUNT_TABS = [
    "accounts.user_tabs.FIRST_TABS",
    "orders.account_tabs.TABS",
    "positions.account_tabs.TABS",
    "wallets.account_tabs.TABS",
    "riskengine.account_tabs.TABS",
    "accounts.user_tabs.LAST_TABS",
]
# Who logs in without having asked for a page gets the first one.
LOGIN_REDIRECT_URL = f"/{ADMIN_PATH}/"
UNFOLD = {
    "SITE_TITLE": "Exchange back-office",
    "SITE_HEADER": "Exchange back-office",
    "SITE_URL": "/",
    "SITE_SYMBOL": "candlestick_chart",
    "SHOW_HISTORY": True,
    "SIDEBAR": {"navigation": "adminpanel.sidebar.navigation", "show_search": False},
    "TABS": "accounts.account_tabs.tabs_navigation",
    "STYLES": ["adminpanel.sidebar.stylesheet"],
    "LOGIN": {"form": "accounts.admin_login.LoginForm"},
    "DASHBOARD_CALLBACK": "adminpanel.dashboard.dashboard_context",
}

# --- logs ---------------------------------------------------------------------------------
# The supervisor names its children; everything else is a management command.
PROCESS_NAME = os.environ.get("PROCESS_NAME", "manage")
try:
    for _directory in (VAR_DIR, STATIC_ROOT, *([LOG_DIR] if LOG_FILES else [])):
        _directory.mkdir(parents=True, exist_ok=True)
except OSError as error:
    sys.stderr.write(
        f"configuration: {error.filename} cannot be made ({error.strerror}):"
        " set VAR_DIR and LOG_DIR to directories that this user may write\n"
    )
    raise SystemExit(2) from None
LOG_LEVEL = {"warn": "warning"}.get(env.choice("LOG_LEVEL"), env.choice("LOG_LEVEL"))
LOG_MAX_SIZE_BYTES = env.size_bytes("LOG_MAX_SIZE")
LOG_MAX_AGE_MS = env.duration_ms("LOG_MAX_FILES")
LOGGING = logging_settings(
    level=LOG_LEVEL,
    directory=LOG_DIR if LOG_FILES else None,
    process=PROCESS_NAME,
    size_max_bytes=LOG_MAX_SIZE_BYTES,
    age_max_ms=LOG_MAX_AGE_MS,
)
configure_structlog()
