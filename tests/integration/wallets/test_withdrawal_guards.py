"""T32: what keeps a thief's withdrawal back, and what fifty requests at once cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError, connections

from accounts import services
from accounts.models import User
from common.errors import ApiError
from common.testing import ApiClient, error_code
from common.tiers import Tier
from exchange import gateway
from exchange.core.units import ATOMS
from exchange.errors import ExchangeError
from markets.selectors import asset_by_id
from tests.support.exchange import USDT, ExchangeHarness
from tests.support.redis_server import redis_client, redis_url
from tests.support.second_factor import clock, enable
from tests.support.staff import audited
from tests.support.trading import PASSWORD, Trader, money_of, reset_process
from tests.support.withdrawals import (
    ADDRESS,
    add_address,
    open_terms,
    requested,
    spot_of,
    states,
    withdraw,
)
from wallets.enums import WithdrawalState
from wallets.models import Withdrawal, WithdrawalAddress
from wallets.withdrawals import asking, sweep
from wallets.withdrawals.changes import state_move
from wallets.withdrawals.schema import ADDRESS_PROPERTIES
from wallets.withdrawals.types import Payee

__all__ = ["clock", "redis_client", "redis_url"]

pytestmark = pytest.mark.integration

DAY_MS = 24 * 3_600_000
BOOK = "/api/wallet/addresses"


@pytest.fixture
def terms(exchange: ExchangeHarness) -> None:
    open_terms()


@pytest.mark.usefixtures("terms")
class TestAddresses:
    def test_a_new_one_is_too_young_for_a_day(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        before = money_of(exchange)
        found = add_address(alice, usable=False)

        answer = withdraw(alice)

        assert set(found) == set(ADDRESS_PROPERTIES)
        assert found["usable_at"] - found["created_at"] == DAY_MS
        assert (answer.status_code, error_code(answer)) == (422, "ADDRESS_TOO_NEW")
        assert (money_of(exchange), states()) == (before, [])

    def test_its_user_is_told(
        self, alice: Trader, django_capture_on_commit_callbacks: Any, redis_client: Any
    ) -> None:
        User.objects.filter(username="alice").update(verified_email="alice@example.com")

        with django_capture_on_commit_callbacks(execute=True):
            add_address(alice)

        (notice,) = alice.api.get("/api/account/notices").json()["items"]
        assert "cold store" in notice["text"]
        (sent,) = mail.outbox
        assert (sent.to, sent.subject) == (["alice@example.com"], "New withdrawal address")
        (event,) = audited("withdrawal_address.add")
        assert (event["actor"], event["after"]["address"]) == ("alice", ADDRESS)

    def test_the_book_is_paged_and_ones_own(self, alice: Trader, bob: Trader) -> None:
        made = [add_address(alice, memo=memo)["id"] for memo in ("1", "2", "3")]

        first = alice.api.get(f"{BOOK}?limit=2").json()
        rest = alice.api.get(f"{BOOK}?limit=2&cursor={first['next_cursor']}").json()

        assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
        assert bob.api.get(BOOK).json()["items"] == []
        assert error_code(bob.api.delete(f"{BOOK}/{made[0]}")) == "NOT_FOUND"

    def test_a_removed_one_is_unknown_and_begins_anew(self, alice: Trader) -> None:
        found = add_address(alice)

        assert alice.api.delete(f"{BOOK}/{found['id']}").status_code == 204
        assert error_code(withdraw(alice)) == "ADDRESS_UNKNOWN"
        add_address(alice, usable=False)
        assert error_code(withdraw(alice)) == "ADDRESS_TOO_NEW"
        assert len(audited("withdrawal_address.remove")) == 1

    def test_refusals(self, alice: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
        add_address(alice)
        body = {"currency": "USDT", "address": ADDRESS, "label": "again"}

        def refused(**fields: Any) -> tuple[int, str]:
            answer = alice.api.post(BOOK, {**body, **fields})
            return answer.status_code, error_code(answer)

        assert refused() == (409, "ADDRESS_EXISTS")
        assert refused(label="\u202e") == (400, "VALIDATION_ERROR")
        assert refused(address="a b") == (400, "VALIDATION_ERROR")
        assert refused(address=7) == (400, "VALIDATION_ERROR")
        assert refused(currency="XYZ") == (404, "ASSET_NOT_FOUND")
        monkeypatch.setattr("wallets.withdrawals.addresses.ADDRESSES_MAX", 1)
        assert refused(memo="9") == (422, "ADDRESS_LIMIT")
        assert WithdrawalAddress.objects.count() == 1


@pytest.mark.usefixtures("terms")
class TestCredentials:
    def test_a_changed_password_keeps_money_in_for_a_day(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        add_address(alice)
        new = "battery staple 7"
        body = {"current_password": PASSWORD, "new_password": new}
        assert alice.api.put("/api/auth/profile", body).status_code == 200
        login = ApiClient().post("/api/auth/login", {"username": "alice", "password": new})
        alice.api.token = login.json()["access_token"]
        before = money_of(exchange)

        answer = withdraw(alice)

        assert (answer.status_code, error_code(answer)) == (422, "CREDENTIALS_CHANGED")
        assert (money_of(exchange), states()) == (before, [])
        user = User.objects.get(username="alice")
        User.objects.update(credentials_changed_ms=user.credentials_changed_ms - DAY_MS)
        requested(alice)

    def test_a_second_factor_is_asked_for_each_time(
        self, exchange: ExchangeHarness, alice: Trader, clock: Any, redis_client: Any
    ) -> None:
        login = ApiClient().post("/api/auth/login", {"username": "alice", "password": PASSWORD})
        alice.api.token = login.json()["access_token"]
        phone, _ = enable(alice.api, clock, password=PASSWORD)
        assert error_code(alice.api.post(BOOK, {
            "currency": "USDT", "address": ADDRESS, "label": "x",
        })) == "TWO_FACTOR_REQUIRED"  # fmt: skip
        WithdrawalAddress.objects.create(
            account_id=alice.account_id,
            asset_id=USDT,
            label="cold store",
            address=ADDRESS,
            created_ms=0,
            usable_ms=0,
        )
        assert error_code(withdraw(alice, phone.next_code())) == "CREDENTIALS_CHANGED"
        User.objects.update(credentials_changed_ms=0)
        before = money_of(exchange)

        refused = [error_code(withdraw(alice, code)) for code in ("", "000000")]
        unchanged = money_of(exchange) == before and states() == []
        code = phone.next_code()
        right, again = withdraw(alice, code), withdraw(alice, code, client_withdrawal_id="w-2")

        assert refused == ["TWO_FACTOR_REQUIRED", "TWO_FACTOR_INVALID"]
        assert unchanged
        assert (right.status_code, error_code(again)) == (201, "TWO_FACTOR_INVALID")
        assert states() == ["requested"]


@pytest.mark.usefixtures("terms")
def test_of_two_who_decide_at_once_one_does(exchange: ExchangeHarness, alice: Trader) -> None:
    add_address(alice)
    number = int(requested(alice)["id"])
    user = User.objects.get(username="alice")
    cancelling, approving = (Withdrawal.objects.get(id=number) for _ in range(2))

    moved = [
        state_move(approving, WithdrawalState.APPROVED, actor=user),
        state_move(cancelling, WithdrawalState.CANCELLED, actor=user),
    ]

    assert moved == [True, False]
    assert states() == ["approved"]
    assert len(audited("withdrawal.approve", "withdrawal.cancel")) == 1
    with pytest.raises(ValueError, match="expected an edge from approved"):
        state_move(Withdrawal.objects.get(), WithdrawalState.CANCELLED, actor=user)


class TestAtOnce:
    """Many requests in threads, on a database of their own; each has its own connection."""

    AFFORDABLE = 7

    @pytest.fixture
    def rich(self, own_database: Any) -> Iterator[tuple[ExchangeHarness, User]]:
        """A user whose USDT pay for seven withdrawals of 100 with their fees."""
        reset_process()
        harness = ExchangeHarness()
        gateway.use_inline(harness)
        harness.seed_markets()
        user = services.user_create(
            username="rich", email="rich@example.com", password=PASSWORD, tier=Tier.INTERNAL
        )
        harness.add_account(user.account_id, USDT=self.AFFORDABLE * 101 + 100)
        open_terms()
        WithdrawalAddress.objects.create(
            account_id=user.account_id,
            asset_id=USDT,
            label="cold store",
            address=ADDRESS,
            created_ms=0,
            usable_ms=0,
        )
        yield harness, user
        gateway.use_inline(None)
        reset_process()

    def test_fifty_over_the_last_money_never_overdraw(
        self, rich: tuple[ExchangeHarness, User]
    ) -> None:
        harness, user = rich
        asset = asset_by_id(USDT)

        def ask(number: int) -> str:
            try:
                asking.withdrawal_request(
                    account_id=user.account_id,
                    actor=user,
                    tier=Tier.INTERNAL,
                    asset=asset,
                    amount_atoms=100 * ATOMS,
                    payee=Payee(network="", address=ADDRESS, memo=""),
                    client_id=f"race-{number}",
                )
            except (ApiError, ExchangeError) as error:
                return error.code
            except OperationalError:
                return "SERVICE_UNAVAILABLE"
            finally:
                connections.close_all()
            return "OK"

        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(ask, range(50)))
        # Who was not told, because a machine was too slow, is told later.
        Withdrawal.objects.filter(state="opening").update(changed_ms=1)
        sweep.withdrawals_finish()

        assert set(found) <= {"OK", "INSUFFICIENT_BALANCE", "SERVICE_UNAVAILABLE"}
        assert states() == ["requested"] * self.AFFORDABLE
        assert spot_of(harness, user.account_id) == 100 * ATOMS
        assert spot_of(harness, 4) == self.AFFORDABLE * 101 * ATOMS
        harness.exchange.check_all()

    def test_one_request_ten_times_is_one_withdrawal(
        self, rich: tuple[ExchangeHarness, User]
    ) -> None:
        harness, user = rich
        asset = asset_by_id(USDT)

        def ask(_number: int) -> int | str:
            try:
                asked = asking.withdrawal_request(
                    account_id=user.account_id,
                    actor=user,
                    tier=Tier.INTERNAL,
                    asset=asset,
                    amount_atoms=100 * ATOMS,
                    payee=Payee(network="", address=ADDRESS, memo=""),
                    client_id="the-only-one",
                )
            except (ApiError, ExchangeError) as error:
                return error.code
            except OperationalError:
                return "SERVICE_UNAVAILABLE"
            finally:
                connections.close_all()
            return asked.withdrawal.withdrawal_id

        with ThreadPoolExecutor(10) as pool:
            found = set(pool.map(ask, range(10)))

        assert len(found - {"STATUS_UNKNOWN", "SERVICE_UNAVAILABLE"}) <= 1
        assert Withdrawal.objects.count() == 1
        assert spot_of(harness, 4) == 101 * ATOMS
