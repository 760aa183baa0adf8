"""What children print becomes readable lines."""

import json
from pathlib import Path

import pytest

from tradingplatform.supervisor.output import Output, render


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(directory=tmp_path, size_max_bytes=10_000, age_max_ms=86_400_000)


def test_renders_a_record_with_its_details() -> None:
    record = {
        "event": "order placed",
        "level": "info",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "market": "BTC-USDT",
        "logger": "orders",
    }

    assert render(record) == "03:04:05 info    order placed market=BTC-USDT"


def test_shows_records_with_prefix_and_hides_debug(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.show("web", json.dumps({"event": "shown", "level": "warning"}))
    output.show("web", json.dumps({"event": "hidden", "level": "debug"}))

    shown = capsys.readouterr().out
    assert shown.startswith("web      |")
    assert "shown" in shown
    assert "hidden" not in shown


def test_keeps_what_is_no_record_in_a_file(
    output: Output, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output.show("web", "Traceback (most recent call last):")

    assert "Traceback" in capsys.readouterr().out
    assert "Traceback" in (tmp_path / "web.out.log").read_text("utf-8")


def test_control_characters_never_reach_the_terminal(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.show("web", "a\x1b[2Jb\rc")

    assert "\x1b[2J" not in capsys.readouterr().out
