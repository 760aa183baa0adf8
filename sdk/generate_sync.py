"""
Write the client for threads from the one for asyncio: ``python sdk/generate_sync.py``.

The two differ in a handful of words, so there is one text to maintain; a test holds them equal.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "src" / "tradingclient"
PAIRS = {"transport_async.py": "transport.py", "rest_async.py": "rest.py"}

# In this order: longer words first.
WORDS = (
    (r"``\w+\.py`` is the same for threads and is written from this file by",
     "Written from its twin for asyncio, never by hand: see"),
    (r"for asyncio\.\n\n", "for threads.\n\n"),
    (r"asyncio\.Lock", "threading.Lock"),
    (r"asyncio\.sleep", "time.sleep"),
    (r"AsyncIterator", "Iterator"),
    (r"AsyncRestClient", "RestClient"),
    (r"AsyncTransport", "Transport"),
    (r"AsyncClient", "Client"),
    (r"AsyncBaseTransport", "BaseTransport"),
    (r"transport_async\b", "transport"),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"\baclose\b", "close"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"between tasks", "between threads"),
    (r"another task has", "another thread has"),
)  # fmt: skip


def converted(text: str, name: str) -> str:
    """Return the text for threads, formatted as the file of that name."""
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    modules = [name for name in ("threading", "time") if f"{name}." in text]
    imports = "".join(f"import {module}\n" for module in modules)
    text = re.sub(r"import asyncio\n(import time\n)?", imports, text)
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PACKAGE / name), "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return formatted.stdout


def main() -> None:
    """Write the files."""
    for source, target in PAIRS.items():
        text = (PACKAGE / source).read_text(encoding="utf-8")
        (PACKAGE / target).write_text(converted(text, target), encoding="utf-8")


if __name__ == "__main__":
    main()
