"""
Every environment variable of the platform, declared once.

Settings, ``manage.py validate_env``, ``.env.example`` and its test all read this table.
Standard library only, so that the bootstrap can use it before anything is installed.
"""

from tradingplatform.variables import Kind, Variable

DEVELOPMENT_SECRET = "development-only-session-secret"  # noqa: S105 - refused in production
SHEET_SECRETS = frozenset({DEVELOPMENT_SECRET, "your-session-secret"})
SHEET_PASSWORD = "changeme123"  # noqa: S105 - the sheet's example, refused in production
FEED_MODES = ("auto", "live", "replay")

SHEET: tuple[Variable, ...] = (
    Variable(
        name="NODE_ENV",
        section="Server",
        kind=Kind.CHOICE,
        default="development",
        choices=("development", "test", "production"),
        note="production turns every guard on",
    ),
    Variable(name="PORT", kind=Kind.INTEGER, default="3000", minimum=1, maximum=65535),
    Variable(name="HOST", default="localhost", note="address to listen on; 0.0.0.0 is every one"),
    Variable(
        name="MONGODB_URI",
        section="Database",
        secret=True,
        example="mongodb://localhost:27017/crypto-trading",
        note="needs a replica set and requirements-mongodb.txt; DATABASE_URL names another"
        " database; neither: SQLite",
    ),
    Variable(
        name="DB_NAME",
        default="crypto-trading",
        note="where MONGODB_URI names no database",
    ),
    Variable(
        name="DB_MAX_POOL_SIZE",
        kind=Kind.INTEGER,
        default="10",
        minimum=1,
        maximum=1_000,
        note="connections of one process to PostgreSQL or MongoDB; SQLite needs none",
    ),
    Variable(name="DB_MIN_POOL_SIZE", kind=Kind.INTEGER, default="2", minimum=0, maximum=1_000),
    Variable(
        name="REDIS_URL",
        section="Redis",
        secret=True,
        example="redis://localhost:6379",
        note="empty: make run starts its own Redis on a unix socket under var/",
    ),
    Variable(name="REDIS_PREFIX", default="crypto:"),
    Variable(
        name="JWT_SECRET",
        section="JWT",
        secret=True,
        unused=True,
        note="tokens are always signed with RS256, so a shared secret is never used",
    ),
    Variable(
        name="JWT_EXPIRES_IN",
        kind=Kind.DURATION,
        default="10m",
        minimum=10_000,
        note="life of an access token; the sheet's 7d is too long to revoke",
    ),
    Variable(name="JWT_REFRESH_SECRET", secret=True, unused=True, note="as JWT_SECRET"),
    Variable(name="JWT_REFRESH_EXPIRES_IN", kind=Kind.DURATION, default="30d", minimum=60_000),
    Variable(
        name="JWT_PRIVATE_KEY",
        kind=Kind.KEY,
        secret=True,
        note="empty: made at the first start and kept under var/keys; production needs one",
    ),
    Variable(name="JWT_PUBLIC_KEY", kind=Kind.KEY, note="empty: derived from the private key"),
    Variable(
        name="BINANCE_API_KEY",
        section="API keys of price sources",
        secret=True,
        note="optional: raises the source's limits",
    ),
    Variable(name="BINANCE_API_SECRET", secret=True),
    Variable(name="COINBASE_API_KEY", secret=True),
    Variable(name="KRAKEN_API_KEY", secret=True),
    Variable(
        name="RATE_LIMIT_WINDOW_MS",
        section="Rate limiting",
        kind=Kind.INTEGER,
        default="60000",
        minimum=1000,
    ),
    Variable(
        name="RATE_LIMIT_MAX_REQUESTS",
        kind=Kind.INTEGER,
        default="100",
        minimum=1,
        note="requests per window and address without a login; a login raises it",
    ),
    Variable(
        name="WS_PING_INTERVAL",
        section="WebSocket",
        kind=Kind.INTEGER,
        default="25000",
        minimum=1000,
        note="ms",
    ),
    Variable(name="WS_PING_TIMEOUT", kind=Kind.INTEGER, default="5000", minimum=500, note="ms"),
    Variable(
        name="WS_MAX_CONNECTIONS",
        kind=Kind.INTEGER,
        default="10000",
        minimum=1,
        note="sockets per web process",
    ),
    Variable(name="WS_RATE_LIMIT_POINTS", kind=Kind.INTEGER, default="100", minimum=1),
    Variable(
        name="WS_RATE_LIMIT_DURATION", kind=Kind.INTEGER, default="1", minimum=1, note="seconds"
    ),
    Variable(
        name="LOG_LEVEL",
        section="Logging",
        kind=Kind.CHOICE,
        default="info",
        choices=("error", "warn", "info", "debug"),
        note="the sheet says debug",
    ),
    Variable(
        name="LOG_DIR",
        default="var/log",
        note="the sheet says logs; empty: under VAR_DIR; -: no files, standard output alone",
    ),
    Variable(
        name="LOG_MAX_SIZE", kind=Kind.SIZE, default="20m", note="size that starts a new file"
    ),
    Variable(
        name="LOG_MAX_FILES",
        kind=Kind.DURATION,
        default="14d",
        minimum=86_400_000,
        note="how long rotated files stay",
    ),
    Variable(name="CORS_ORIGIN", section="CORS", kind=Kind.LIST, default="http://localhost:3001"),
    Variable(name="CORS_CREDENTIALS", kind=Kind.FLAG, default="true"),
    Variable(
        name="SESSION_SECRET",
        section="Session",
        secret=True,
        default=DEVELOPMENT_SECRET,
        note="signs browser sessions of the back-office; production needs 50 characters",
    ),
    Variable(
        name="SESSION_MAX_AGE", kind=Kind.INTEGER, default="86400000", minimum=60_000, note="ms"
    ),
    Variable(
        name="ADMIN_EMAIL",
        section="Admin",
        default="admin@example.com",
        note="operator made by the seed",
    ),
    Variable(name="ADMIN_PASSWORD", secret=True, default=SHEET_PASSWORD),
    Variable(
        name="DEFAULT_LEVERAGE",
        section="Trading parameters",
        kind=Kind.INTEGER,
        default="10",
        minimum=1,
        maximum=125,
        note="seeds perpetual markets; afterwards each account sets its own",
    ),
    Variable(
        name="MAX_LEVERAGE",
        kind=Kind.INTEGER,
        default="125",
        minimum=1,
        maximum=125,
        note="seeds perpetual markets: caps the leverage of their brackets",
    ),
    Variable(
        name="LIQUIDATION_FEE",
        kind=Kind.RATE,
        default="0.005",
        minimum=0,
        maximum=10**7,
        note="seeds perpetual markets; a bracket takes at most a quarter of its maintenance rate",
    ),
    Variable(
        name="TAKER_FEE",
        kind=Kind.RATE,
        default="0.0004",
        minimum=0,
        maximum=10**7,
        note="seeds an empty database; afterwards fees change by command",
    ),
    Variable(
        name="MAKER_FEE",
        kind=Kind.RATE,
        default="0.0002",
        minimum=-(10**7),
        maximum=10**7,
        note="as TAKER_FEE; may be negative, together with TAKER_FEE never",
    ),
)

OWN: tuple[Variable, ...] = (
    Variable(
        name="DATABASE_URL",
        secret=True,
        note="postgresql://user:password@host:5432/name or sqlite:////absolute/path;"
        " empty: var/exchange.sqlite3",
    ),
    Variable(name="VAR_DIR", default="var", note="database, keys, sockets and logs"),
    Variable(
        name="STATIC_DIR", note="where make build collects static files; empty: under VAR_DIR"
    ),
    Variable(
        name="CACHE_REDIS_URL",
        secret=True,
        note="another Redis for the cache and browser sessions, which may evict; empty: REDIS_URL",
    ),
    Variable(
        name="METRICS_TOKEN",
        secret=True,
        note="what /api/metrics wants as bearer token; empty: open, in production only to"
        " requests that come without a proxy",
    ),
    Variable(
        name="ALLOWED_HOSTS",
        kind=Kind.LIST,
        note="Host headers to answer; empty: localhost, loopback addresses and HOST",
    ),
    Variable(
        name="AUDIT_KEYS",
        kind=Kind.LIST,
        secret=True,
        note="seal the audit log: the first seals, all verify; empty: SESSION_SECRET, so name"
        " the old one here before changing that",
    ),
    Variable(
        name="SECRETS_KEYS",
        kind=Kind.LIST,
        secret=True,
        note="encrypt secrets of API keys and second factors; the first encrypts, all decrypt;"
        " empty: made at the first start and kept under var/keys; production needs one",
    ),
    Variable(
        name="TWO_FACTOR",
        kind=Kind.CHOICE,
        default="auto",
        choices=("auto", "none", "staff", "all"),
        note="who must have a second factor; auto: staff in production, nobody elsewhere",
    ),
    Variable(
        name="EMAIL_URL",
        secret=True,
        note="smtp://user:password@host:587, smtps://, console:, file: or off:;"
        " empty: file: (under VAR_DIR/mail), in production off:",
    ),
    Variable(name="EMAIL_FROM", default="exchange@localhost", note="sender of mail"),
    Variable(name="ADMIN_PATH", default="admin", note="path of the back-office, without slashes"),
    Variable(
        name="ADMIN_ALLOWED_NETWORKS",
        kind=Kind.LIST,
        note="addresses or networks that reach the back-office, e.g. 10.0.0.0/8; empty: all",
    ),
    Variable(
        name="FEED_MODE",
        kind=Kind.CHOICE,
        default="auto",
        choices=FEED_MODES,
        note="auto chooses live or replay once, on an empty database; production needs live",
    ),
    Variable(
        name="COMMAND_LOG_RETENTION_HOURS",
        kind=Kind.INTEGER,
        default="72",
        minimum=0,
        maximum=87_600,
        note="how long the log of commands is kept at least; 0 keeps it for ever",
    ),
    Variable(
        name="NUM_PROXIES",
        kind=Kind.INTEGER,
        default="0",
        minimum=0,
        maximum=10,
        note="own proxies that append to X-Forwarded-For; 0: the header is ignored",
    ),
    Variable(
        name="WEB_THREADS",
        kind=Kind.INTEGER,
        default="64",
        minimum=1,
        maximum=1024,
        note="HTTP requests at once in a web process; each waits for its commit",
    ),
    Variable(
        name="WS_MAX_CONNECTIONS_PER_IP",
        kind=Kind.INTEGER,
        default="500",
        minimum=1,
        note="sockets per web process and address; IPv6 by /64",
    ),
    Variable(
        name="REGISTER_LIMIT_PER_HOUR",
        kind=Kind.INTEGER,
        default="60",
        minimum=1,
        note="new users per hour and address",
    ),
    Variable(
        name="FUNDING_INTERVAL",
        kind=Kind.DURATION,
        default="8h",
        minimum=60_000,
        maximum=24 * 3_600_000,
        note="seeds perpetual markets: how often longs and shorts pay each other",
    ),
    Variable(
        name="REPLAY_SPEED",
        kind=Kind.RATE,
        default="1",
        minimum=10**6,
        maximum=100 * 10**8,
        note="how much faster than recorded a replay runs, 0.01 to 100",
    ),
    Variable(
        name="BINANCE_URL",
        note="address of the price source, for a mirror such as"
        " https://data-api.binance.vision; empty: the venue's own",
    ),
    Variable(name="COINBASE_URL", note="as BINANCE_URL"),
    Variable(name="KRAKEN_URL", note="as BINANCE_URL"),
    Variable(
        name="DEMO_PASSWORD", secret=True, default="demo-pass-2024", note="of the seed's users"
    ),
    Variable(
        name="MARKET_MAKER",
        kind=Kind.FLAG,
        default="true",
        note="make run starts a market maker on the public API",
    ),
    Variable(
        name="APPROVAL_LIMIT_USDT",
        kind=Kind.INTEGER,
        default="10000",
        minimum=0,
        maximum=90_000_000_000,
        note="an operator's credits and debits of 24 hours above it wait for a second person",
    ),
    Variable(
        name="WITHDRAWAL_ADDRESS_DELAY",
        kind=Kind.INTEGER,
        default="24",
        minimum=0,
        maximum=8_760,
        note="hours before a new address, or a changed password or second factor, lets money be"
        " withdrawn; production refuses 0",
    ),
    Variable(
        name="ORDER_RETENTION_DAYS",
        kind=Kind.INTEGER,
        default="30",
        minimum=0,
        maximum=36500,
        note="never-filled orders that ended longer ago are removed; 0 keeps all",
    ),
    Variable(
        name="REDIS_FSYNC",
        kind=Kind.CHOICE,
        default="everysec",
        choices=("everysec", "always"),
        note="of the Redis that make run starts; orders are durable in the database either way",
    ),
)

VARIABLES = SHEET + OWN


def password_hint(password: str) -> str:
    """Return the operator's password while it is the documented example, else where to find it."""
    return password if password == SHEET_PASSWORD else "(as ADMIN_PASSWORD)"
