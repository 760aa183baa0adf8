"""Opens a user's account on the exchange, when it is first needed."""

import structlog

from accounts.models import Account
from exchange import gateway
from exchange.core.commands import ConfigureAccount
from exchange.core.rejects import Code
from exchange.errors import ExchangeError

log = structlog.get_logger(__name__)

# Accounts this process has seen to exist; they are never closed.
_known: set[int] = set()
_KNOWN_MAX = 200_000
OPENING_TIMEOUT_S = 2.0


def account_is_open(account_id: int) -> bool:
    """Return whether the exchange knows an account; free after the first time."""
    if account_id in _known:
        return True
    if not Account.objects.filter(id=account_id).exists():
        return False
    _remember(account_id)
    return True


def _remember(account_id: int) -> None:
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known.add(account_id)


def account_open(account_id: int) -> bool:
    """
    Open an account on the exchange unless it is open; returns whether it now is.

    Must not be called inside a transaction. An exchange that is away or busy is no error
    here: the next login or first order tries again.
    """
    if account_is_open(account_id):
        return True
    command = ConfigureAccount(account_id=account_id)
    try:
        # One id however many requests open it together: only the first is carried out.
        outcome = gateway.submit(
            command, command_id=f"open-account-{account_id}", timeout_s=OPENING_TIMEOUT_S
        )
    except ExchangeError as error:
        log.warning("account_not_opened", account_id=account_id, code=error.code)
        return False
    if outcome.code != Code.OK:
        log.warning("account_not_opened", account_id=account_id, code=outcome.code.name)
        return False
    _remember(account_id)
    return True


def forget_known() -> None:
    """Forget what is known; for tests."""
    _known.clear()
