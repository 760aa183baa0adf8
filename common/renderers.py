"""The renderer of every answer."""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer


def _encode_other(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)


def encode_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return _encoder.encode(value)


def accepts_json(accept: str) -> bool:
    """Return whether an ``Accept`` header takes JSON; an absent one takes everything."""
    if not accept or "*/*" in accept:
        return True
    kinds = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return any(kind in {"application/json", "application/*"} for kind in kinds)


class JSONRenderer(BaseRenderer):
    """Render with msgspec; several times faster than the framework's own."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body; no data is an empty body."""
        return b"" if data is None else _encoder.encode(data)
