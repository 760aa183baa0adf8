"""
Ask a running Prometheus every question of the dashboards and alerts: ``monitoring.py URL``.

Prints for each panel how many series answered, and for each alert whether what it speaks of is
there. Exit code 1 when a panel is empty or an alert speaks of nothing: an empty panel looks like
peace, and an alert without data never fires.
"""

import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
# How the names of our series begin; all else in an expression is PromQL.
_NAMES = re.compile(
    r"\b((?:exchange|feed|http|ws|redis|database|disk|process|job|beat|backup|ledger|risk)_\w+"
    r"|up)(?=[\s{\[()><=]|$)"
)
# What some installations rightly do not have; an alert may ask whether it is absent.
_MAY_BE_ABSENT = frozenset({"database_connections"})
# Labels and outcomes that look like names.
_LABELS = frozenset({"job_name"})


def questions() -> Iterator[tuple[str, str, str]]:
    """Yield dashboard, panel and expression of every target."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield path.stem, panel["title"], target["expr"]


def alerts() -> Iterator[tuple[str, str]]:
    """Yield name and expression of every alert."""
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def names_in(expression: str) -> list[str]:
    """Return the series that an expression speaks of."""
    found = dict.fromkeys(_NAMES.findall(expression))
    return [name for name in found if name not in _LABELS | _MAY_BE_ABSENT]


def ask(url: str, expression: str) -> list[Any]:
    """Return the series that answer an expression now."""
    query = urllib.parse.urlencode({"query": expression})
    # The address is the operator's own server.
    with urllib.request.urlopen(  # noqa: S310  # nosec B310
        f"{url.rstrip('/')}/api/v1/query?{query}", timeout=10
    ) as response:
        answer = json.load(response)
    found: list[Any] = answer["data"]["result"]
    return found


def main(url: str) -> int:
    """Ask everything; return how it went as an exit code."""
    empty = 0
    for dashboard, panel, expression in questions():
        count = len(ask(url, expression))
        empty += not count
        sys.stdout.write(f"{count:5d}  {dashboard}: {panel}\n")
    for alert, expression in alerts():
        missing = [name for name in names_in(expression) if not ask(url, f"count({name})")]
        empty += bool(missing)
        state = "fires" if ask(url, expression) else "quiet"
        sys.stdout.write(
            f"{state}  alert {alert}" + (f": no {', '.join(missing)}" if missing else "") + "\n"
        )
    sys.stdout.write(f"{empty} without data\n")
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] else "http://localhost:9090"))
