"""Structured logs: one JSON object a line, on stdout and in rotating files; secrets masked."""

import logging
import time
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.masking import MASK, is_secret_name, masked

_DAY_MS = 86_400_000


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of secret names, and credentials inside texts."""
    for name, value in event.items():
        event[name] = MASK if is_secret_name(name) else masked(value)
    return event


# What every record has; the rest came as ``extra``.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Libraries also hang whole requests, sockets and arguments of tasks on a record.
_PLAIN = (str, int, float, bool)
# uvicorn's message once more, in colours.
_REPEATED = frozenset({"color_message"})


def add_extra(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Show what was logged as ``extra`` through the standard library: words, numbers, lists."""
    record = event.get("_record")
    for name, value in vars(record).items() if record is not None else ():
        if name in _USUAL or name in _REPEATED or name in event:
            continue
        if isinstance(value, _PLAIN) or (
            isinstance(value, list) and all(isinstance(one, _PLAIN) for one in value)
        ):
            event[name] = value
    return event


class RotatingFileHandler(TimedRotatingFileHandler):
    """Starts a new file at midnight UTC and when the size is reached; removes what is old."""

    def __init__(self, filename: str, *, size_max_bytes: int, age_max_ms: int) -> None:
        """Keep rotated files for ``age_max_ms``, each at most about ``size_max_bytes``."""
        super().__init__(filename, when="midnight", utc=True, delay=True, encoding="utf-8")
        self._size_max_bytes = size_max_bytes
        self._age_max_ms = age_max_ms

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Return whether the record belongs into a new file."""
        path = Path(self.baseFilename)
        if path.exists() and path.stat().st_size >= self._size_max_bytes:
            return True
        return bool(super().shouldRollover(record))

    def rotation_filename(self, default_name: str) -> str:
        """Return a free name: the size may end several files on one day."""
        name, count = default_name, 1
        while Path(name).exists():
            name, count = f"{default_name}.{count}", count + 1
        return name

    def getFilesToDelete(self) -> list[str]:
        """Return the rotated files that are too old."""
        path = Path(self.baseFilename)
        oldest_s = time.time() - self._age_max_ms / 1000
        return [
            str(candidate)
            for candidate in path.parent.glob(path.name + ".*")
            if candidate.stat().st_mtime < oldest_s
        ]

    def doRollover(self) -> None:
        """Start a new file and remove the files that are too old."""
        super().doRollover()
        for name in self.getFilesToDelete():
            Path(name).unlink(missing_ok=True)


SHARED_PROCESSORS: list[Processor] = [
    # First: what is said of one line goes above what is said of the whole request.
    add_extra,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    mask_secrets,
]


def _info_at_least(level: str) -> str:
    return "INFO" if level == "DEBUG" else level


def logging_settings(
    *, level: str, directory: Path | None, process: str, size_max_bytes: int, age_max_ms: int
) -> dict[str, Any]:
    """
    Return Django's LOGGING; ``directory`` None writes no files.

    Each kind of process writes its own file, so that no two rotate the same one.
    """
    level = level.upper()
    handlers: dict[str, Any] = {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "json",
        },
    }
    if directory is not None:
        handlers["file"] = {
            "()": RotatingFileHandler,
            "filename": str(directory / f"{process}.log"),
            "size_max_bytes": size_max_bytes,
            "age_max_ms": age_max_ms,
            "formatter": "json",
        }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED_PROCESSORS,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(),
                ],
            },
        },
        "handlers": handlers,
        "root": {"handlers": list(handlers), "level": level},
        "loggers": {
            # At debug these write down what passes through them: headers, frames, arguments of
            # tasks, statements, with secrets under no name that a mask could know.
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "uvicorn.error": {"level": _info_at_least(level)},
            "websockets": {"level": _info_at_least(level)},
            "celery.pool": {"level": _info_at_least(level)},
            "pymongo": {"level": _info_at_least(level)},
            "asyncio": {"level": "WARNING"},
            "ccxt": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
            # A line for each task, several times a second.
            "celery.beat": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.db.backends": {"level": "INFO"},
        },
    }


def configure_structlog() -> None:
    """Send structlog through the standard library's handlers."""
    structlog.configure(
        processors=[*SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
