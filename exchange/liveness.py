"""How the exchange is, as its database knows it."""

from exchange.models import POSITION_ID, LogPosition


def last_alive_ms() -> int:
    """Return when a leader last renewed its lease, UTC milliseconds, 0 if none ever led."""
    renewed = LogPosition.objects.filter(id=POSITION_ID).values_list("renewed_ms", flat=True)
    return renewed.first() or 0
