"""What operators make the exchange do: submitted, and recorded with its result."""

from collections.abc import Mapping
from typing import Any

from accounts import audit
from common.errors import raise_for_outcome
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import AnyCommand
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.errors import ExchangeError


def operator_submit(
    command: AnyCommand,
    *,
    actor: audit.Actor,
    action: str,
    target: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Outcome:
    """
    Submit an operator's command and return its outcome; must not run in a transaction.

    The exchange commits in a transaction of its own and keeps who, what and why there
    (``OperatorCommand``). The audit event follows the answer and holds its code as ``result``,
    refusals and unanswered commands included.

    Raises:
        ApiError: if the exchange refuses.
        ExchangeError: if it cannot take the command or has not answered it.
    """

    def tell(result: str) -> None:
        audit.record(
            actor=actor,
            action=action,
            target=target,
            before=before,
            after={**(after or {}), "result": result},
            reason=reason,
        )

    try:
        outcome = gateway.submit(command, lane=Lane.SYSTEM, request_id=current_request_id())
    except ExchangeError as error:
        tell(error.code)
        raise
    tell(Code(outcome.code).name)
    raise_for_outcome(outcome)
    return outcome
