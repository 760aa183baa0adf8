"""
What a fresh installation begins with: markets, fee tiers, users and their balances.

Everything may run any number of times. Balances are credited under fixed ids, so the exchange
carries each out once; what operators have changed since is left alone.
"""

import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from accounts.enums import Role
from accounts.selectors import account_by_id, fee_tier_by_number
from accounts.services import user_create
from accounts.types import AccountOwner
from common.tiers import Tier, limits_of
from exchange import gateway
from exchange.core.commands import AnyCommand, ConfigureAccount, ConfigureFeeTier, Credit
from exchange.core.enums import Lane, WalletKind
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from markets.selectors import assets_all
from markets.services import markets_prepare
from markets.types import AssetInfo
from tradingplatform.environment import password_hint
from tradingplatform.perpetual_seed import perpetuals_seed
from tradingplatform.withdrawal_seed import address_seed, terms_seed

MAKER_USERNAME = "market_maker"
DEMO_USERNAMES = ("alice", "bob")
# Where a demo taker trades from, so that alice and bob belong to the visitor.
TAKER_USERNAME = "demo_taker"
EXCHANGE_WAIT_S = 60.0

# Whole units of each asset; what is not listed gets the last figure.
DEMO_BALANCES = {"USDT": 100_000, "BTC": 2, "ETH": 30}
DEMO_OTHER = 1_000
MAKER_BALANCES = {"USDT": 500_000_000, "BTC": 5_000, "ETH": 100_000}
MAKER_OTHER = 50_000_000
# USDT in the margin wallet, which backs positions in perpetual markets.
DEMO_MARGIN = 20_000
MAKER_MARGIN = 20_000_000


class SeedError(Exception):
    """The exchange refused or did not answer; the message names what was being made."""


@dataclass(slots=True)
class Report:
    """What was made and who may log in."""

    made: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)


def seed() -> Report:
    """
    Make what is missing.

    Demo users, their balances and the market maker's inventory are not made in production.

    Raises:
        SeedError: if the exchange does not run or refuses.
    """
    wait_for_exchange()
    report = Report()
    prepared = markets_prepare()
    report.made += prepared.configured
    report.made += [f"history of {symbol}" for symbol in prepared.charts]
    _seed_fees(report)
    report.made += perpetuals_seed(prepared.mode)
    _seed_operator(report)
    if not settings.PRODUCTION:
        report.made += [f"withdrawal terms of {code}" for code in terms_seed()]
        _seed_demo(report)
        _seed_bots(report)
    return report


def wait_for_exchange() -> None:
    """Wait until a leader answers."""
    end = time.monotonic() + EXCHANGE_WAIT_S
    while not (status := gateway.status()).leader or status.down:
        if time.monotonic() > end:
            raise SeedError("the exchange does not run: start the platform with make run")
        time.sleep(0.1)


def password_file(username: str) -> Path:
    """Return where the password of one of our own bots is kept."""
    return Path(settings.KEYS_DIR) / f"{username}.password"


def _seed_fees(report: Report) -> None:
    if fee_tier_by_number(0) is not None:
        return
    _submit(
        [
            ConfigureFeeTier(
                tier=0,
                maker_rate_e8=settings.MAKER_FEE_E8,
                taker_rate_e8=settings.TAKER_FEE_E8,
            )
        ],
        "fee tier 0",
    )
    report.made.append("fee tier 0")


def _seed_operator(report: Report) -> None:
    user_create(
        username="operator",
        email=settings.ADMIN_EMAIL,
        password=settings.ADMIN_PASSWORD,
        role=Role.ADMIN,
    )
    report.logins.append((settings.ADMIN_EMAIL, password_hint(settings.ADMIN_PASSWORD)))


def _seed_demo(report: Report) -> None:
    for username in DEMO_USERNAMES:
        user = user_create(
            username=username,
            email=f"{username}@example.com",
            password=settings.DEMO_PASSWORD,
        )
        _fund(user, username, Tier.TRADER, DEMO_BALANCES, DEMO_OTHER, DEMO_MARGIN)
        address_seed(account_id=user.account_id, actor=user)
        report.logins.append((username, settings.DEMO_PASSWORD))


def _seed_bots(report: Report) -> None:
    for username in (MAKER_USERNAME, TAKER_USERNAME):
        password, is_new = _bot_password(username)
        user = user_create(
            username=username,
            email=f"{username}@example.com",
            password=password,
            tier=Tier.MAKER,
        )
        if is_new and not user.check_password(password):
            # The user outlived its password file.
            user.set_password(password)
            user.save(update_fields=["password"])
        _fund(user, username, Tier.MAKER, MAKER_BALANCES, MAKER_OTHER, MAKER_MARGIN)


def _bot_password(username: str) -> tuple[str, bool]:
    """Return the password of a bot and whether it was made now."""
    path = password_file(username)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip(), False
    password = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(password)
    return password, True


def _fund(
    user: AccountOwner,
    username: str,
    tier: Tier,
    balances: dict[str, int],
    other: int,
    margin: int,
) -> None:
    """Open the account with its tier's bounds, and credit each asset once."""
    commands: list[AnyCommand] = []
    if account_by_id(user.account_id) is None:
        commands.append(
            ConfigureAccount(
                account_id=user.account_id, open_orders_max=limits_of(tier).open_orders_max
            )
        )
    for asset in assets_all():
        amount_atoms = balances.get(asset.code, other) * ATOMS
        commands.append(_credit(user, WalletKind.SPOT, asset, amount_atoms, f"seed-{asset.code}"))
        if asset.code == "USDT":
            commands.append(
                _credit(user, WalletKind.MARGIN, asset, margin * ATOMS, "seed-margin-USDT")
            )
    _submit(commands, username)


def _credit(
    user: AccountOwner, wallet: WalletKind, asset: AssetInfo, amount_atoms: int, transfer_id: str
) -> Credit:
    return Credit(
        account_id=user.account_id,
        wallet=wallet,
        asset_id=asset.asset_id,
        amount_atoms=amount_atoms,
        reason="seed",
        actor="seed",
        client_transfer_id=transfer_id,
        request_hash=amount_atoms,
    )


def _submit(commands: list[AnyCommand], name: str) -> None:
    # One by one: an account must exist before its credits, in the order of the list.
    for outcome in gateway.submit_many(commands, lane=Lane.SYSTEM):
        # A conflict is an earlier seed with other amounts: done is done.
        if outcome.code not in (Code.OK, Code.TRANSFER_ID_CONFLICT):
            raise SeedError(f"{name} was refused: {Code(outcome.code).name} {outcome.detail}")
