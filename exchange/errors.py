"""What a gateway raises when the exchange did not answer; refusals are outcomes, not errors."""


class ExchangeError(Exception):
    """The exchange did not answer; carries the stable code and status that leave the platform."""

    code = "ENGINE_UNAVAILABLE"
    http_status = 503
    retry_after_s: int | None = 1
    message = "The exchange is not available."

    def __init__(self, message: str = "") -> None:
        """Use the class's message unless given another."""
        super().__init__(message or self.message)


class ExchangeBusy(ExchangeError):
    """Too much waits; nothing was sent."""

    code = "ENGINE_BUSY"
    message = "The exchange has too many requests waiting; nothing was done."


class ExchangeUnavailable(ExchangeError):
    """Nobody leads or Redis is away; nothing was sent."""

    message = "The exchange is not available; nothing was done."


class StatusUnknown(ExchangeError):
    """The command was sent and no answer came: it may or may not have been carried out."""

    code = "STATUS_UNKNOWN"
    http_status = 504
    retry_after_s = None
    message = "No answer came in time: the request may or may not have been carried out."
