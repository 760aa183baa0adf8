"""What operators make the exchange do."""

from common.errors import raise_for_outcome
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import AnyCommand
from exchange.core.enums import Lane
from exchange.core.events import Outcome


def operator_submit(command: AnyCommand) -> Outcome:
    """
    Submit a command of an operation and return its outcome; must not run in a transaction.

    The exchange commits in a transaction of its own and keeps who, what and why there
    (``OperatorCommand``); the audit event of the operation follows (``accounts.operations``).

    Raises:
        ApiError: if the exchange refuses.
        ExchangeError: if it cannot take the command or has not answered it.
    """
    outcome = gateway.submit(command, lane=Lane.SYSTEM, request_id=current_request_id())
    raise_for_outcome(outcome)
    return outcome
