"""What the children print: readable lines with a prefix, and files for what they do not log."""

import json
import logging
import os
import re
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Any

from tradingplatform.log import RotatingFileHandler

_READ_BYTES = 65_536
# A longer line is cut: one child must not fill the memory with a line that never ends.
LINE_MAX_BYTES = 16_384
_PREFIX_WIDTH = 9
_COLORS = (36, 35, 33, 32, 34, 96, 95, 93)
_HIDDEN = {"event", "level", "logger", "timestamp", "request_id", "positional_args"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Output:
    """Reads the children's pipes without blocking and shows them on one screen."""

    def __init__(self, *, directory: Path, size_max_bytes: int, age_max_ms: int) -> None:
        """Write what is not a log record into ``directory``/NAME.out.log."""
        self._selector = selectors.DefaultSelector()
        self._partial: dict[int, bytearray] = {}
        self._loggers: dict[str, logging.Logger] = {}
        self._directory = directory
        self._limits = {"size_max_bytes": size_max_bytes, "age_max_ms": age_max_ms}
        self._colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def add(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Follow the output of a process until it closes it."""
        assert process.stdout is not None  # noqa: S101 - started with a pipe
        descriptor = process.stdout.fileno()
        os.set_blocking(descriptor, False)
        self._partial[descriptor] = bytearray()
        self._selector.register(descriptor, selectors.EVENT_READ, (name, process.stdout))

    def pump(self, timeout_s: float) -> None:
        """Show what has come, waiting at most ``timeout_s`` for the first of it."""
        for key, _ in self._selector.select(timeout_s):
            name, stream = key.data
            try:
                data = os.read(key.fd, _READ_BYTES)
            except BlockingIOError:
                continue
            if not data:
                self._selector.unregister(key.fd)
                rest = self._partial.pop(key.fd)
                if rest:
                    self.show(name, rest.decode("utf-8", "replace"))
                stream.close()
                continue
            self._split(name, key.fd, data)

    def _split(self, name: str, descriptor: int, data: bytes) -> None:
        partial = self._partial[descriptor]
        partial += data
        *lines, rest = partial.split(b"\n")
        if len(rest) > LINE_MAX_BYTES:
            lines.append(rest[:LINE_MAX_BYTES])
            rest = bytearray()
        self._partial[descriptor] = bytearray(rest)
        for line in lines:
            self.show(name, line[:LINE_MAX_BYTES].decode("utf-8", "replace"))

    def show(self, name: str, line: str) -> None:
        """Show one line; a record of our own loggers is made readable."""
        record = _parse(line)
        if record is None:
            self._file(name).info("%s", line)
            self._write(name, _CONTROL.sub(" ", line))
        elif _LEVELS.get(str(record.get("level")), 20) >= logging.INFO:
            self._write(name, render(record))

    def _write(self, name: str, text: str) -> None:
        prefix = f"{name:<{_PREFIX_WIDTH}}|"
        if self._colored:
            color = _COLORS[sum(name.encode()) % len(_COLORS)]
            prefix = f"\x1b[{color}m{prefix}\x1b[0m"
        try:
            sys.stdout.write(f"{prefix} {text}\n")
            sys.stdout.flush()
        except OSError:
            # The terminal is gone; the files go on.
            return

    def _file(self, name: str) -> logging.Logger:
        logger = self._loggers.get(name)
        if logger is None:
            logger = logging.Logger(f"output.{name}")  # noqa: LOG001 - outside the tree
            handler = RotatingFileHandler(str(self._directory / f"{name}.out.log"), **self._limits)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            logger.addHandler(handler)
            self._loggers[name] = logger
        return logger


def _parse(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def render(record: dict[str, Any]) -> str:
    """Return a log record as one readable line, an exception on further ones."""
    time = str(record.get("timestamp", ""))[11:19]
    exception = record.pop("exception", "")
    details = " ".join(f"{name}={value}" for name, value in record.items() if name not in _HIDDEN)
    text = f"{time} {record.get('level', 'info'):<7} {record['event']} {details}".rstrip()
    text = _CONTROL.sub(" ", text.replace("\n", " "))
    return f"{text}\n{exception}" if exception else text
