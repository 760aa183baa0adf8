"""``/ws/user``: one account-wide sequence, from which a lost connection is resumed."""

from __future__ import annotations

from tradingclient.socket import Connection
from tradingclient.subscriptions import Channel


class PrivateConnection(Connection):
    """The connection to one's own account; all its channels are subscribed together."""

    async def _subscribe(self, channels: list[Channel]) -> None:
        """Subscribe all channels at once; from where they stand if nothing is missing."""
        if not channels:
            return
        every = list(self.channels.values())
        epochs = {channel.rule.epoch for channel in every}
        known = [channel.rule.last for channel in every if channel.rule.last is not None]
        if len(known) == len(every) and len(epochs) == 1:
            await self._send_subscription(every, resume=(max(known), epochs.pop()))
        else:
            await self._send_subscription(every)
