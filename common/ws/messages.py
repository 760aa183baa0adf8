"""What clients send, and the answers that are not frames of a channel."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from common.ws.frames import to_json

# Close codes; 1001, 1003, 1009 and 1012 are the protocol's own.
CLOSE_GOING_AWAY = 1001
CLOSE_BINARY = 1003
CLOSE_TOO_LARGE = 1009
CLOSE_ERROR = 1011
CLOSE_RESTART = 1012
CLOSE_NOT_AUTHENTICATED = 4001
CLOSE_AUTH_TIMEOUT = 4003
CLOSE_SLOW = 4008
CLOSE_LIMIT = 4029
CLOSE_BAD_MESSAGES = 4400

# Nothing a client sent is echoed beyond this many characters.
ECHO_MAX = 64
CHANNELS_PER_MESSAGE_MAX = 200
# A larger integer would not survive a JavaScript client.
SEQUENCE_MAX = 2**53 - 1

ClientId = str | int | None


class MessageHead(msgspec.Struct, gc=False):
    """The part that every client message has: what to do, and an id to answer with."""

    op: str
    id: ClientId = None


class Subscribe(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Subscribe to channels; ``from_seq`` with its ``epoch`` resumes a private stream."""

    op: str
    channels: list[str]
    id: ClientId = None
    from_seq: int | None = None
    epoch: int | None = None


class Unsubscribe(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """End subscriptions, by the text with which they were made."""

    op: str
    channels: list[str]
    id: ClientId = None


class Ping(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Ask for a sign of life."""

    op: str
    id: ClientId = None


class Auth(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """
    Say who one is: an access token, a one-time ticket, or an API key that signs.

    A key signs ``GET /ws/user`` without query and body, as it would a request.
    """

    op: str
    id: ClientId = None
    token: str | None = None
    ticket: str | None = None
    key: str | None = None
    timestamp: int | None = None
    nonce: str | None = None
    signature: str | None = None
    recv_window: int | None = None


class MessageError(Exception):
    """A client's message is refused; the connection stays unless ``close_code`` is set."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        close_code: int | None = None,
        channel: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Keep the stable code, a sentence for people, and what it concerns."""
        super().__init__(code)
        self.code = code
        self.message = message
        self.close_code = close_code
        self.channel = channel
        self.details = details


def answer(kind: str, message_id: ClientId, **values: object) -> str:
    """Return an answer to a client's message, with its id when it had one."""
    head: dict[str, object] = {"type": kind}
    if message_id is not None:
        head["id"] = message_id
    return to_json(head | values)


def error_answer(error: MessageError, message_id: ClientId) -> str:
    """Return the answer to a refused message: the envelope's ``error`` as in REST."""
    body: dict[str, object] = {"code": error.code, "message": error.message}
    body.update(error.details or {})
    if error.channel is not None:
        body["channel"] = error.channel[:ECHO_MAX]
    return answer("error", message_id, error=body)


def decode_head(text: str) -> MessageHead:
    """
    Read the head of a client message.

    Raises:
        MessageError: INVALID_JSON when it is no JSON, INVALID_MESSAGE when it is not an
            object with a text ``op``.
    """
    try:
        head = _head_decoder.decode(text)
    except msgspec.ValidationError:
        raise MessageError(
            "INVALID_MESSAGE", 'Expected an object with a text "op" and an optional "id".'
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise MessageError("INVALID_JSON", "The message is not valid JSON.") from None
    if isinstance(head.id, str) and len(head.id) > ECHO_MAX:
        raise MessageError("INVALID_MESSAGE", f"An id has at most {ECHO_MAX} characters.")
    return head


def decode_message(text: str, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """
    Read a whole client message of a known kind; unknown fields are refused.

    Raises:
        MessageError: INVALID_MESSAGE with what is wrong.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MessageError("INVALID_MESSAGE", str(error)[: 2 * ECHO_MAX]) from None


_head_decoder = msgspec.json.Decoder(MessageHead)
