"""
Write the variables of a new installation with fresh secrets: ``production_env.py HOST``.

    python tools/production_env.py exchange.example > deploy/exchange.env
    python tools/production_env.py exchange.example --database mongo > deploy/exchange.env

Keep the file: SECRETS_KEYS and AUDIT_KEYS decrypt and verify what is stored.
"""

import argparse
import base64
import secrets
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def variables(host: str, database: str) -> dict[str, str]:
    """Return every variable that production must have, secrets made now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")
    password = secrets.token_hex(24)
    found = {
        "NODE_ENV": "production",
        "ALLOWED_HOSTS": host,
        "CORS_ORIGIN": f"https://{host}",
        "NUM_PROXIES": "1",
        "FEED_MODE": "live",
        "SESSION_SECRET": secrets.token_hex(32),
        "JWT_PRIVATE_KEY": pem.strip().replace("\n", "\\n"),
        "SECRETS_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii"),
        "AUDIT_KEYS": secrets.token_hex(32),
        "METRICS_TOKEN": secrets.token_hex(24),
        "ADMIN_EMAIL": f"operator@{host}",
        "ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "REDIS_PASSWORD": secrets.token_hex(24),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(18),
    }
    if database == "mongo":
        found["COMPOSE_PROFILES"] = "mongo"
        found["REQUIREMENTS"] = "requirements-mongodb.txt"
        found["MONGODB_URI"] = "mongodb://mongo:27017/exchange?replicaSet=exchange"
    else:
        found["COMPOSE_PROFILES"] = "postgres"
        found["POSTGRES_PASSWORD"] = password
        found["DATABASE_URL"] = f"postgresql://exchange:{password}@postgres:5432/exchange"
    return found


def main() -> None:
    """Print the file."""
    parser = argparse.ArgumentParser(description="Variables of a new installation.")
    parser.add_argument("host", help="the name that clients use, such as exchange.example")
    parser.add_argument("--database", choices=("postgres", "mongo"), default="postgres")
    arguments = parser.parse_args()
    for name, value in variables(arguments.host, arguments.database).items():
        sys.stdout.write(f"{name}={value}\n")


if __name__ == "__main__":
    main()
