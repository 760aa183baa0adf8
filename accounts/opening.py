"""Opens a user's account on the exchange, when it is first needed."""

import structlog

from accounts.models import Account, User
from common.tiers import Tier, limits_of
from exchange import gateway
from exchange.core.commands import ConfigureAccount
from exchange.core.enums import AccountStatus, SelfTradeMode
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


def _open_orders_max(account_id: int) -> int:
    """Return how many open orders per market the owner's limit tier allows."""
    tier = User.objects.filter(account_id=account_id).values_list("limit_tier", flat=True).first()
    return limits_of(Tier(tier) if tier else Tier.TRADER).open_orders_max


def _configure(command: ConfigureAccount, *, command_id: str = "") -> bool:
    try:
        outcome = gateway.submit(command, command_id=command_id, timeout_s=OPENING_TIMEOUT_S)
    except ExchangeError as error:
        log.warning("account_not_configured", account_id=command.account_id, code=error.code)
        return False
    if outcome.code != Code.OK:
        code = outcome.code.name
        log.warning("account_not_configured", account_id=command.account_id, code=code)
        return False
    return True


def account_open(account_id: int) -> bool:
    """
    Open an account on the exchange unless it is open; returns whether it now is.

    Must not be called inside a transaction. An exchange that is away or busy is no error
    here: the next login or first order tries again.
    """
    if account_is_open(account_id):
        return True
    command = ConfigureAccount(account_id=account_id, open_orders_max=_open_orders_max(account_id))
    # One id however many requests open it together: only the first is carried out.
    if not _configure(command, command_id=f"open-account-{account_id}"):
        return False
    _remember(account_id)
    return True


def account_follow_tier(account_id: int) -> bool:
    """
    Give an open account the open orders of its owner's limit tier; its other settings stay.

    Must not be called inside a transaction. Returns False if the exchange did not take it;
    an account that is not open yet is opened with the right number later.
    """
    account = Account.objects.filter(id=account_id).first()
    if account is None:
        return True
    return _configure(
        ConfigureAccount(
            account_id=account_id,
            status=AccountStatus(account.status),
            fee_tier=account.fee_tier,
            open_orders_max=_open_orders_max(account_id),
            self_trade_mode=SelfTradeMode(account.self_trade_mode),
        )
    )


def forget_known() -> None:
    """Forget what is known; for tests."""
    _known.clear()
