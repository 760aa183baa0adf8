"""Names of everything the exchange keeps in Redis; all begin with ``settings.REDIS_PREFIX``."""

from django.conf import settings

from exchange.core.enums import Lane


def lane(which: Lane, stream_epoch: int) -> str:
    """Return the stream of a lane; the epoch guards against a Redis that lost its data."""
    return f"{settings.REDIS_PREFIX}exchange:{which.name.lower()}:{stream_epoch}"


def status() -> str:
    """Return the key where the leader says that it lives; it expires when he does not."""
    return f"{settings.REDIS_PREFIX}exchange:status"


def leader_epoch() -> str:
    """Return the key of the highest epoch under which anybody has published."""
    return f"{settings.REDIS_PREFIX}exchange:leader-epoch"


def events() -> str:
    """Return the stream of committed batches."""
    return f"{settings.REDIS_PREFIX}exchange:events"


def books_wanted() -> str:
    """Return the key that asks the runner for images of all books."""
    return f"{settings.REDIS_PREFIX}exchange:books-wanted"


def replies(name: str) -> str:
    """Return the channel on which one gateway hears its answers."""
    return f"{settings.REDIS_PREFIX}exchange:replies:{name}"
