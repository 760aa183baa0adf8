"""
Settings for MongoDB: its address, and what of the framework must change for it.

Standard library only, as the variables' checks are.
"""

from __future__ import annotations

import importlib.util
from typing import Any
from urllib.parse import unquote, urlsplit

from tradingplatform.variables import ConfigurationError

ENGINE = "common.mongodb"
SCHEMES = ("mongodb", "mongodb+srv")
REQUIREMENTS = "requirements-mongodb.txt"

# Whoever waits longer for a server is told that the database is away: within the two seconds in
# which everybody is answered.
SERVER_SELECTION_MS = 1_000
# The driver asks each server so often whether it is there. One that leaves the question, or a
# new connection, unanswered for so long is taken for gone, and whoever waits for it is freed.
HEARTBEAT_MS = 500
CONNECT_MS = 1_500
SOCKET_MS = 20_000

# Apps of the framework that number their rows, which MongoDB does not do.
_APPS = "tradingplatform.mongodb.apps"
_CONFIGURATIONS = {
    "django.contrib.admin.apps.SimpleAdminConfig": f"{_APPS}.MongoAdminConfig",
    "django.contrib.contenttypes": f"{_APPS}.MongoContentTypesConfig",
    "django.contrib.auth": f"{_APPS}.MongoAuthConfig",
}
MIGRATION_MODULES = {
    label: f"tradingplatform.mongodb.migrations.{label}"
    for label in ("admin", "auth", "contenttypes")
}
# Check constraints are not created there: the core's own checks stand in front of them.
SILENCED_SYSTEM_CHECKS = ["models.W027"]


def check_mongodb_uri(uri: str) -> None:
    """
    Check that an address can be used; an empty one is none.

    Raises:
        ConfigurationError: with the remedy in one line, without the password.
    """
    if not uri:
        return
    parts = _parts(uri)
    if parts.scheme not in SCHEMES or not parts.netloc.rpartition("@")[2]:
        raise ConfigurationError(
            "MONGODB_URI must look like mongodb://user:password@host:27017/name:"
            " correct or unset it"
        )
    if "/" in parts.path.removeprefix("/"):
        raise ConfigurationError(
            "MONGODB_URI must name one database behind the hosts: correct or unset it"
        )
    if importlib.util.find_spec("django_mongodb_backend") is None:
        raise ConfigurationError(
            f"MONGODB_URI needs packages that are not installed: pip install -r {REQUIREMENTS}"
        )


def mongodb_settings(uri: str, *, name: str, pool_min: int, pool_max: int) -> dict[str, Any]:
    """
    Return Django's settings for a checked address; a name in it counts before ``name``.

    What is written and read is what a majority of the servers has on disk, so that nothing
    a user was told is lost with the primary. An address cannot lower that.
    """
    return {
        "ENGINE": ENGINE,
        "NAME": unquote(_parts(uri).path.removeprefix("/")) or name,
        "HOST": uri,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "appname": "exchange",
            "minPoolSize": pool_min,
            "maxPoolSize": pool_max,
            "w": "majority",
            "journal": True,
            "readConcernLevel": "majority",
            "readPreference": "primary",
            "retryWrites": True,
            "retryReads": True,
            "serverSelectionTimeoutMS": SERVER_SELECTION_MS,
            "heartbeatFrequencyMS": HEARTBEAT_MS,
            "connectTimeoutMS": CONNECT_MS,
            "socketTimeoutMS": SOCKET_MS,
        },
    }


def shown_mongodb(uri: str, name: str) -> str:
    """Return what to call a database, without the user and the password."""
    return f"mongodb://{_parts(uri).netloc.rpartition('@')[2]}/{name}"


def installed_apps(apps: list[str]) -> list[str]:
    """Return the list of apps with those of the framework that number rows replaced."""
    return [_CONFIGURATIONS.get(app, app) for app in apps]


def _parts(uri: str) -> Any:
    try:
        return urlsplit(uri)
    except ValueError:
        raise ConfigurationError("MONGODB_URI cannot be read: correct or unset it") from None
