"""``/ws/admin``: what the platform does just now, for its staff."""

from __future__ import annotations

from accounts.access import REFUSALS
from accounts.permissions import Permission
from accounts.sockets import AuthenticatedConsumer
from adminpanel.live_feed import Listener, admin_feed
from common.ws import messages
from common.ws.messages import MessageError

# What a role needs to hear a channel.
CHANNELS: dict[str, Permission] = {
    "system": Permission.SYSTEM_VIEW,
    "engine": Permission.SYSTEM_VIEW,
    "feeds": Permission.MARKETS_VIEW,
    "users": Permission.USERS_VIEW,
    # Who sees the system sees everything that alerts are about; a test holds the roles to it.
    "alerts": Permission.SYSTEM_VIEW,
    "liquidations": Permission.EXPOSURE_VIEW,
}


class AdminConsumer(AuthenticatedConsumer):
    """One operator's socket."""

    namespace = "admin"
    permission = Permission.BACK_OFFICE

    async def opened(self) -> None:
        """Begin without channels."""
        self._listeners: dict[str, Listener] = {}
        await super().opened()

    def closed(self) -> None:
        """Leave all channels."""
        for listener in getattr(self, "_listeners", {}).values():
            admin_feed(self.hub).unsubscribe(listener)
        super().closed()

    async def handle_subscribe(self, message: messages.Subscribe) -> None:
        """Subscribe to all channels of a message or, if one is refused, to none."""
        identity = self.require_identity()
        channels = list(dict.fromkeys(message.channels))
        if not channels:
            raise MessageError("INVALID_MESSAGE", "Expected at least one channel.")
        for channel in channels:
            needed = CHANNELS.get(channel)
            if needed is None:
                raise MessageError("UNKNOWN_CHANNEL", "There is no such channel.", channel=channel)
            refusal = identity.refusal(needed)
            if refusal is not None:
                raise MessageError(refusal, REFUSALS[refusal], channel=channel)
        self.outbox.put(messages.answer("subscribed", message.id, channels=channels))
        for channel in channels:
            self._leave(channel)
            self._listeners[channel] = admin_feed(self.hub).subscribe(channel, self.outbox)

    async def handle_unsubscribe(self, message: messages.Unsubscribe) -> None:
        """End subscriptions; those that were none are ignored."""
        for channel in message.channels:
            self._leave(channel)
        self.outbox.put(messages.answer("unsubscribed", message.id, channels=message.channels))

    def _leave(self, channel: str) -> None:
        listener = self._listeners.pop(channel, None)
        if listener is not None:
            admin_feed(self.hub).unsubscribe(listener)
