"""One REDIS_URL, in the forms that its users want."""

import hashlib
import os
import tempfile
from pathlib import Path
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


def socket_path(var_dir: Path) -> Path:
    """
    Return where the unix socket lies: in ``var_dir``, else under a short temporary path.

    The kernel limits the path of a socket; a deep clone would pass the limit.
    """
    path = var_dir / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"exchange-{os.getuid()}-{digest}" / "redis.sock"
