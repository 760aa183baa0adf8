"""A real Prometheus on a running platform: every panel and every alert has data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import ROOT, Platform, free_port, wait_until
from tools import monitoring
from tradingplatform.supervisor.redis_server import find_binary

PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_binary() is None, reason="no Redis binary"),
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DATA_S = 120.0


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes a platform with one demo market maker."""
    platform = Platform(tmp_path / "var")
    platform.environment["MARKET_MAKER"] = "true"
    platform.var_dir.mkdir()
    platform.start()
    text = CONFIG.read_text(encoding="utf-8")
    secret = tmp_path / "token"
    secret.write_text("none")
    for old, new in (
        ("/run/secrets/metrics_token", str(secret)),
        ("web:3000", f"127.0.0.1:{platform.port}"),
        ("alerts.yml", str(CONFIG.with_name("alerts.yml"))),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "prometheus.yml").write_text(text)
    port = free_port()
    assert PROMETHEUS is not None
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        platform.stop(signal.SIGTERM)


def test_every_panel_and_every_alert_has_data(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def complete() -> bool:
        try:
            return monitoring.main(address) == 0
        except (urllib.error.URLError, OSError):
            return False

    wait_until(complete, DATA_S, "something has no data")

    assert capsys.readouterr().out.rstrip().endswith("0 without data")
