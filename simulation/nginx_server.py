"""The nginx of deploy/nginx with ports and paths of a run, for proofs and tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

NGINX_DIR = Path(__file__).parents[1] / "deploy" / "nginx"


def find_nginx() -> str | None:
    """Return the path of nginx, None where it is not installed."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def render(directory: Path, replacements: Mapping[str, str]) -> Path:
    """
    Write the deployment's configuration below ``directory`` and return the main file's path.

    One worker writes its files below ``directory``; further texts are replaced as told.
    """
    conf = directory / "nginx"
    shutil.copytree(NGINX_DIR / "conf.d", conf)
    every = {
        # First: what follows puts paths in that may begin so.
        " /tmp/": f" {directory}/",
        "/etc/nginx/exchange/": f"{conf}/",
        "worker_processes auto": "worker_processes 1",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 16384": "worker_connections 512",
        **replacements,
    }
    if os.geteuid() == 0:
        # Started by root, its workers would run as somebody who may not read a run's files.
        every["worker_processes 1"] = "user root;\nworker_processes 1"
    main = conf / "nginx.conf"
    shutil.copy(NGINX_DIR / "nginx.conf", main)
    for path in conf.iterdir():
        text = path.read_text(encoding="utf-8")
        for old, new in every.items():
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
    return main
