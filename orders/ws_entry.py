"""Order entry of one connection: bounded, concurrent, answered after commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from accounts.access import check_permission
from accounts.permissions import Permission
from common.errors import ApiError
from common.exceptions import to_api_error
from common.limits import take_cancels_async, take_orders_async
from common.parsers import parse_object
from common.request_id import make_request_id
from common.ws import messages
from common.ws.counts import COUNTS
from common.ws.hub import Hub
from common.ws.outbox import Outbox
from exchange import gateway
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from markets.live.catalogue import catalogue
from orders import services
from orders.entry import OPERATIONS, Job, Operation, Reply

if TYPE_CHECKING:
    from accounts.types import Identity

log = logging.getLogger(__name__)

# Orders of one connection that may be on their way; more than any tier places in the time
# that the exchange may take, and few enough that one client cannot fill a process.
IN_FLIGHT_MAX = 400


class Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An operation on orders: ``params`` is the body of the REST request of the same name."""

    op: str
    id: str | int
    params: msgspec.Raw


class OrderDesk:
    """
    Takes the operations of one connection in order and answers each when it is committed.

    What can be refused at once is; the rest is handed to the gateway before the next message
    is read, so the exchange sees the order of the messages, and awaited beside it.
    """

    def __init__(self, hub: Hub, outbox: Outbox) -> None:
        """Answer through ``outbox``; work that outlives the connection belongs to the hub."""
        self._hub = hub
        self._outbox = outbox
        self.in_flight = 0

    async def take(self, message: Entry, identity: Identity) -> None:
        """Carry out one operation, or answer why not."""
        request_id = make_request_id()
        operation = OPERATIONS[message.op]
        try:
            require_trading(identity)
            body = parse_object(bytes(message.params))
            cost = operation.cost(body)
            self._require_room(cost)
            await self._take_rate(operation, identity, cost)
            await catalogue(self._hub).ready()
            job = operation.prepare(body, identity.account_id)
        except Exception as error:
            self.answer_error(message, error, request_id)
            return
        self.in_flight += cost
        self._hub.spawn(self._carry_out(message, job, cost, request_id))

    def answer(self, message: Entry, reply: Reply, request_id: str) -> None:
        """Tell the client what became of an operation, and its id in the logs."""
        status, data = reply
        COUNTS.entries[message.op, status] += 1
        self._outbox.put(
            messages.answer(
                "result",
                message.id,
                op=message.op,
                status=status,
                request_id=request_id,
                data=data,
            )
        )
        _log_answered(message, status, request_id)

    def answer_error(self, message: Entry, error: Exception, request_id: str) -> None:
        """Tell the client why an operation was not carried out; a bug is logged."""
        answer = to_api_error(error)
        if answer is None:
            log.error("order_entry_failed", exc_info=error, extra={"request_id": request_id})
            answer = ApiError("INTERNAL_ERROR", "Something went wrong.", 500)
        body: dict[str, Any] = {"code": answer.code, "message": answer.message}
        if answer.fields:
            body["fields"] = answer.fields
        if answer.retry_after_s is not None:
            body["retry_after"] = answer.retry_after_s
        body["request_id"] = request_id
        COUNTS.entries[message.op, answer.status_code] += 1
        self._outbox.put(
            messages.answer(
                "error", message.id, op=message.op, status=answer.status_code, error=body
            )
        )
        _log_answered(message, answer.status_code, request_id)

    def _require_room(self, cost: int) -> None:
        if self.in_flight + cost > IN_FLIGHT_MAX:
            raise ApiError(
                "TOO_MANY_IN_FLIGHT",
                f"More than {IN_FLIGHT_MAX} orders are on their way on this connection.",
                429,
            )

    @staticmethod
    async def _take_rate(operation: Operation, identity: Identity, cost: int) -> None:
        take = take_orders_async if operation.is_order else take_cancels_async
        await take(identity, cost)

    async def _carry_out(self, message: Entry, job: Job, cost: int, request_id: str) -> None:
        try:
            outcomes = await self._submit(job, request_id) if job.commands else []
            if any(map(services.needs_rows, outcomes)):
                reply = await self._hub.database(job.reply, outcomes)
            else:
                reply = job.reply(outcomes)
            self.answer(message, reply, request_id)
        except Exception as error:
            self.answer_error(message, error, request_id)
        finally:
            self.in_flight -= cost

    async def _submit(self, job: Job, request_id: str) -> list[Outcome]:
        outcomes = await gateway.submit_many_async(job.commands, request_id=request_id)
        if any(outcome.code == Code.ACCOUNT_NOT_FOUND for outcome in outcomes):
            heal: Callable[..., list[Outcome]] = services.account_healed
            return await self._hub.database(heal, job.commands, outcomes, request_id=request_id)
        return outcomes


def _log_answered(message: Entry, status: int, request_id: str) -> None:
    if log.isEnabledFor(logging.DEBUG):
        log.debug(
            "order_entry_answered",
            extra={"op": message.op, "status": status, "request_id": request_id},
        )


def require_trading(identity: Identity) -> None:
    """
    Do nothing for a user who may trade, with this credential.

    Raises:
        ApiError: 403 ``PERMISSION_DENIED``, ``TWO_FACTOR_ENFORCED`` or ``KEY_SCOPE``.
    """
    check_permission(identity, Permission.TRADE)
