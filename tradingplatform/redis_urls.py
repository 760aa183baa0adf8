"""One REDIS_URL, in the forms that its users want."""

from urllib.parse import quote, urlsplit

# sun_path is 108 bytes with the closing zero on Linux, 104 on macOS.
SOCKET_PATH_MAX_BYTES = 103


def celery_broker_url(redis_url: str) -> str:
    """Return the URL as Celery reads it: ``unix://`` becomes ``redis+socket://``."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    password = f":{quote(parts.password, safe='')}@" if parts.password else ""
    return f"redis+socket://{password}{parts.path}?virtual_host=0"
