"""Withdrawals in steps: held, then sent or given back."""

import pytest

from exchange.core.commands import (
    ClientIdFinding,
    ConfigureAccount,
    ConfigureAsset,
    MoveWithdrawal,
)
from exchange.core.enums import AccountStatus, LedgerKind, SystemAccount, WithdrawalStep
from exchange.core.rejects import Code
from exchange.core.units import AMOUNT_MAX
from tests.support.engine import ALICE, BTC, Bench, units

HOLD, SEND, RETURN, VOID = WithdrawalStep


def step(
    kind: WithdrawalStep, amount: str = "4", fee: str = "0.5", **more: object
) -> MoveWithdrawal:
    fields: dict[str, object] = {
        "account_id": ALICE,
        "step": kind,
        "asset_id": BTC,
        "amount_atoms": units(amount),
        "fee_atoms": units(fee),
        "note": "withdrawal 7",
        "client_transfer_id": "",
        "request_hash": 0,
    }
    return MoveWithdrawal(**{**fields, **more})  # type: ignore[arg-type]


def totals(bench: Bench) -> dict[str, int]:
    """Return what the accounts concerned have of it; empty ones are left out."""
    names = {ALICE: "alice", 4: "pending", 1: "external", 2: "fees"}
    return {
        names[wallet.account_id]: wallet.total_atoms
        for wallet in bench.exchange.image().wallets
        if wallet.asset_id == BTC and wallet.account_id in names and wallet.total_atoms
    }


@pytest.fixture
def bench() -> Bench:
    return Bench.funded()


class TestSteps:
    def test_hold_takes_amount_and_fee_at_once(self, bench: Bench) -> None:
        outside = totals(bench)["external"]

        outcome = bench.ok(step(HOLD))

        assert totals(bench) == {
            "alice": units("5.5"),
            "pending": units("4.5"),
            "external": outside,
        }
        changes, _ = bench.exchange.drain()
        source, target = changes.entries[-2:]
        assert (source.account_id, target.account_id) == (ALICE, SystemAccount.WITHDRAWALS)
        assert source.amount_atoms == -target.amount_atoms == -units("4.5")
        assert source.reference_id == target.reference_id == outcome.reference_id
        assert source.kind is LedgerKind.WITHDRAWAL
        assert source.note == "withdrawal 7"

    def test_send_pays_the_amount_out_and_keeps_the_fee(self, bench: Bench) -> None:
        outside = totals(bench)["external"]
        bench.ok(step(HOLD))

        bench.ok(step(SEND))

        assert totals(bench) == {
            "alice": units("5.5"),
            "external": outside + units(4),
            "fees": units("0.5"),
        }

    def test_without_a_fee_the_fee_account_stays_untouched(self, bench: Bench) -> None:
        bench.ok(step(HOLD, fee="0"))
        bench.ok(step(SEND, fee="0"))

        assert "fees" not in totals(bench)

    def test_return_gives_both_back(self, bench: Bench) -> None:
        before = totals(bench)
        bench.ok(step(HOLD))

        bench.ok(step(RETURN))

        assert totals(bench) == before

    def test_void_moves_nothing_and_takes_a_number(self, bench: Bench) -> None:
        before = totals(bench)

        outcome = bench.ok(step(VOID))

        assert totals(bench) == before
        assert outcome.reference_id > 0

    @pytest.mark.parametrize("kind", [SEND, RETURN])
    def test_nothing_ends_that_was_not_held(self, bench: Bench, kind: WithdrawalStep) -> None:
        bench.refused(step(kind), Code.INSUFFICIENT_BALANCE)
        bench.ok(step(HOLD, amount="3"))

        bench.refused(step(kind), Code.INSUFFICIENT_BALANCE)

    def test_what_an_order_holds_stays(self, bench: Bench) -> None:
        bench.sell(ALICE, "6", "100")

        bench.refused(step(HOLD, fee="0.00000001"), Code.INSUFFICIENT_BALANCE)
        bench.ok(step(HOLD, fee="0"))

    def test_an_id_that_was_used_for_another_step_conflicts(self, bench: Bench) -> None:
        finding = ClientIdFinding(reference_id=9, request_hash=1)

        bench.refused(step(RETURN, request_hash=2), Code.TRANSFER_ID_CONFLICT, finding)
        again = bench.do(step(RETURN, request_hash=1), finding)

        assert (again.code, again.reference_id, again.repeated) == (Code.OK, 9, True)


@pytest.mark.parametrize(
    ("_case", "changes", "code"),
    [
        ("unknown account", {"account_id": 5_999_999}, Code.ACCOUNT_NOT_FOUND),
        ("account of the exchange", {"account_id": 2}, Code.ACCOUNT_NOT_FOUND),
        ("unknown asset", {"asset_id": 99}, Code.ASSET_NOT_FOUND),
        ("nothing", {"amount_atoms": 0}, Code.INVALID_AMOUNT),
        ("negative amount", {"amount_atoms": -1}, Code.INVALID_AMOUNT),
        ("negative fee", {"fee_atoms": -1}, Code.INVALID_AMOUNT),
        ("too large together", {"amount_atoms": AMOUNT_MAX, "fee_atoms": 1}, Code.INVALID_AMOUNT),
        ("more than there is", {"amount_atoms": units(10)}, Code.INSUFFICIENT_BALANCE),
    ],
)
def test_hold_is_refused(bench: Bench, _case: str, changes: dict[str, int], code: Code) -> None:
    bench.refused(step(HOLD, **changes), code)


@pytest.mark.parametrize("part", ["amount_atoms", "fee_atoms"])
def test_amounts_keep_to_the_decimals_of_their_asset(part: str) -> None:
    bench = Bench.funded()
    bench.ok(ConfigureAsset(7, "CENT", "Cents", 2))

    bench.refused(
        step(HOLD, **{"asset_id": 7, "amount_atoms": 10**6, "fee_atoms": 0, part: 10**5}),
        Code.INVALID_AMOUNT,
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (AccountStatus.SUSPENDED, Code.ACCOUNT_SUSPENDED),
        (AccountStatus.CANCEL_ONLY, Code.ACCOUNT_CANCEL_ONLY),
    ],
)
def test_a_restricted_account_asks_in_vain_and_gets_its_money_back(
    bench: Bench, status: AccountStatus, code: Code
) -> None:
    before = totals(bench)
    bench.ok(step(HOLD))
    bench.ok(ConfigureAccount(ALICE, status=status))

    bench.refused(step(HOLD), code)
    bench.ok(step(RETURN))

    assert totals(bench) == before
