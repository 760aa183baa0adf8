"""The look for known faults of dependencies, and the floors below which faults are known."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Versions in which the faults named beside them are mended.
FLOORS = {
    "Django": "5.2.13",  # CVE-2026-3902: underscore and hyphen in header names
    "djangorestframework": "3.17.2",  # request.data beyond DATA_UPLOAD_MAX_MEMORY_SIZE
    "PyJWT": "2.13",  # CVE-2026-32597: crit header
    "daphne": "4.2.2",  # CVE-2026-44545, CVE-2026-44546
    "channels": "4.3.2",
    "celery": "5.2.2",  # CVE-2021-23727
    "redis": "4.5.5",  # CVE-2023-28859
}


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import audit

    return audit


def parts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


class TestAudit:
    def test_names_the_source_that_cannot_be_reached(
        self, audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        monkeypatch.setattr(audit, "SOURCE", ("127.0.0.1", 1))

        assert audit.main() == 0
        assert capsys.readouterr().out == (
            "audit skipped: the advisory source 127.0.0.1 cannot be reached\n"
        )

    @pytest.mark.parametrize(("codes", "expected"), [([0, 0], 0), ([0, 1], 1), ([1, 0], 1)])
    def test_fails_when_one_file_has_a_known_fault(
        self,
        audit: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
        codes: list[int],
        expected: int,
    ) -> None:
        asked: list[list[str]] = []

        def run(words: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
            asked.append(words)
            return subprocess.CompletedProcess(words, codes[len(asked) - 1])

        monkeypatch.setattr(audit, "is_reachable", lambda _address: True)
        monkeypatch.setattr(subprocess, "run", run)

        assert audit.main() == expected
        assert [words[-1] for words in asked] == ["requirements.txt", "requirements-dev.txt"]


class TestFloors:
    @pytest.mark.parametrize("name", FLOORS)
    def test_t8_t19_t36_declared_and_installed_versions_have_no_known_fault(
        self, name: str
    ) -> None:
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        (line,) = [line for line in declared if re.match(rf"{name}(\[|[<>=]|$)", line)]
        lowest = re.search(r">=([0-9.]+)", line)

        assert lowest is not None
        assert parts(lowest[1]) >= parts(FLOORS[name])
        assert parts(version(name)) >= parts(FLOORS[name])


def test_the_checks_scan_every_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import check; print(*check.SCANNED)"],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=True,
    )
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"} | {"sdk"}

    assert packages <= set(done.stdout.split())
