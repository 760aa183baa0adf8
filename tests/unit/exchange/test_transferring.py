"""Transfers, deposits and withdrawals."""

import pytest

from exchange.core.commands import (
    ClientIdFinding,
    ConfigureAccount,
    Credit,
    Debit,
    Transfer,
)
from exchange.core.enums import AccountStatus, LedgerKind, WalletKind
from exchange.core.rejects import Code
from exchange.core.units import AMOUNT_MAX
from tests.support.engine import ALICE, BOB, BTC, CAROL, USDT, Bench, units

SPOT, MARGIN = WalletKind.SPOT, WalletKind.MARGIN


def transfer(amount: str = "1", **changes: object) -> Transfer:
    fields: dict[str, object] = {
        "account_id": ALICE,
        "wallet": SPOT,
        "target_account_id": BOB,
        "target_wallet": SPOT,
        "asset_id": BTC,
        "amount_atoms": units(amount),
    }
    return Transfer(**{**fields, **changes})  # type: ignore[arg-type]


class TestTransfer:
    def test_to_another_account(self) -> None:
        bench = Bench.funded()

        outcome = bench.ok(transfer("2.5"))

        assert bench.wallet(ALICE, BTC).total_atoms == units("7.5")
        assert bench.wallet(BOB, BTC).total_atoms == units("12.5")
        changes, _ = bench.exchange.drain()
        source, target = changes.entries[-2:]
        assert (source.amount_atoms, target.amount_atoms) == (-units("2.5"), units("2.5"))
        assert source.reference_id == target.reference_id == outcome.reference_id
        assert source.kind is LedgerKind.TRANSFER

    def test_between_own_wallets(self) -> None:
        bench = Bench.funded()

        bench.ok(transfer("3", target_account_id=ALICE, target_wallet=MARGIN))

        assert bench.wallet(ALICE, BTC, MARGIN).total_atoms == units(3)

    def test_held_funds_stay(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "9.5", "100")

        bench.refused(transfer("0.6"), Code.INSUFFICIENT_BALANCE)
        bench.ok(transfer("0.5"))

    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            ("zero", {"amount_atoms": 0}, Code.INVALID_AMOUNT),
            ("negative", {"amount_atoms": -1}, Code.INVALID_AMOUNT),
            ("too large", {"amount_atoms": AMOUNT_MAX + 1}, Code.INVALID_AMOUNT),
            ("more decimals", {"asset_id": USDT, "amount_atoms": 1}, Code.INVALID_AMOUNT),
            ("unknown asset", {"asset_id": 9}, Code.ASSET_NOT_FOUND),
            ("unknown source", {"account_id": CAROL}, Code.ACCOUNT_NOT_FOUND),
            ("unknown target", {"target_account_id": CAROL}, Code.ACCOUNT_NOT_FOUND),
            ("to the exchange", {"target_account_id": 2}, Code.ACCOUNT_NOT_FOUND),
            ("from the exchange", {"account_id": 1}, Code.ACCOUNT_NOT_FOUND),
            ("to itself", {"target_account_id": ALICE}, Code.SAME_WALLET),
            ("too much", {"amount_atoms": units("10.00000001")}, Code.INSUFFICIENT_BALANCE),
            ("empty wallet", {"wallet": MARGIN}, Code.INSUFFICIENT_BALANCE),
        ],
    )
    def test_refusals(self, _case: str, changes: dict[str, object], code: Code) -> None:
        bench = Bench.funded()

        bench.refused(transfer(**changes), code)

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (AccountStatus.SUSPENDED, Code.ACCOUNT_SUSPENDED),
            (AccountStatus.CANCEL_ONLY, Code.ACCOUNT_CANCEL_ONLY),
        ],
    )
    def test_restricted_source(self, status: AccountStatus, code: Code) -> None:
        bench = Bench.funded()
        bench.ok(ConfigureAccount(ALICE, status))

        bench.refused(transfer(), code)

    def test_same_id_is_carried_out_once(self) -> None:
        bench = Bench.funded()
        command = transfer(client_transfer_id="t", request_hash=5)
        number = bench.ok(command).reference_id

        again = bench.do(command, ClientIdFinding(number, 5))

        assert (again.repeated, again.reference_id) == (True, number)
        assert bench.wallet(BOB, BTC).total_atoms == units(11)
        bench.refused(command, Code.TRANSFER_ID_CONFLICT, ClientIdFinding(number, 6))


class TestCreditAndDebit:
    def test_external_is_the_contra(self) -> None:
        bench = Bench.funded()

        bench.ok(Credit(ALICE, SPOT, BTC, units(5), "deposit", "operator"))
        bench.ok(Debit(ALICE, SPOT, BTC, units(2), "withdrawal", "operator"))

        assert bench.wallet(ALICE, BTC).total_atoms == units(13)
        assert bench.wallet(1, BTC).total_atoms == -units(23)

    def test_all_there_is_of_an_asset_fits_one_balance(self) -> None:
        bench = Bench.funded()

        bench.refused(Credit(ALICE, SPOT, BTC, AMOUNT_MAX, "x", "y"), Code.BALANCE_LIMIT)
        bench.ok(Credit(ALICE, SPOT, BTC, AMOUNT_MAX - units(20), "x", "y"))

    def test_debit_never_overdraws(self) -> None:
        bench = Bench.funded()

        bench.refused(
            Debit(ALICE, SPOT, BTC, units("10.00000001"), "x", "y"), Code.INSUFFICIENT_BALANCE
        )

    def test_unknown_account(self) -> None:
        bench = Bench.funded()

        bench.refused(Credit(CAROL, SPOT, BTC, 1, "x", "y"), Code.ACCOUNT_NOT_FOUND)
        bench.refused(Debit(CAROL, SPOT, BTC, 1, "x", "y"), Code.ACCOUNT_NOT_FOUND)

    def test_repeated_credit_pays_once(self) -> None:
        bench = Bench.funded()
        command = Credit(ALICE, SPOT, BTC, units(1), "x", "y", "id", 3)
        number = bench.ok(command).reference_id

        assert bench.do(command, ClientIdFinding(number, 3)).repeated
        bench.refused(command, Code.TRANSFER_ID_CONFLICT, ClientIdFinding(number, 4))
        assert bench.wallet(ALICE, BTC).total_atoms == units(11)
