"""What operations really bring about, beyond their answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import User
from accounts.notices import notices_snapshot
from accounts.switches import forget_switches
from common.testing import error_code
from exchange.client_ids import hash_key
from exchange.core.commands import AnyCommand, CancelAllOrders, ConfigureMarket
from exchange.core.enums import MarketStatus, Side
from exchange.models import Quarantine
from exchange.quarantine import waiting_count
from exchange.wire import Submission, encode
from markets import selectors
from markets.feeds.switching import sources_switched_off
from orders.live import PrivateProjector, WatchedAccount
from tests.support.exchange import limit_order
from tests.support.margin import SYMBOL, MarginHarness
from tests.support.perpetual import BRACKETS
from tests.support.staff import Staff, audited, staff_member
from tests.support.trading import Trader

WHY = {"reason": "drill"}
ADMIN = "admin:exchange_quarantine"


def user_path(trader: Trader, action: str) -> str:
    return f"/api/admin/users/{User.objects.get(username=trader.name).pk}/{action}"


class TestFreeze:
    TRANSFER = {"currency": "USDT", "amount": "5", "to_username": "bob"}

    def test_binds_transfers_to_others_and_debits(
        self, operator: Staff, alice: Trader, bob: Trader
    ) -> None:
        debit = {**WHY, "currency": "USDT", "amount": "5", "wallet": "spot"}
        operator.api.post(user_path(alice, "freeze-withdrawals"), WHY)

        sent = alice.api.post("/api/wallet/transfer", self.TRANSFER)
        debited = operator.api.post(f"/api/admin/accounts/{alice.account_id}/debit", debit)
        own = alice.api.post(
            "/api/wallet/transfer", {"currency": "USDT", "amount": "5", "to_wallet": "margin"}
        )
        order = alice.place()
        theirs = bob.api.post("/api/wallet/transfer", {**self.TRANSFER, "to_username": "alice"})
        operator.api.post(user_path(alice, "release-withdrawals"), WHY)
        again = alice.api.post("/api/wallet/transfer", self.TRANSFER)

        assert (sent.status_code, error_code(sent)) == (422, "WITHDRAWALS_FROZEN")
        assert (debited.status_code, error_code(debited)) == (422, "WITHDRAWALS_FROZEN")
        assert [own.status_code, order.status_code, theirs.status_code] == [201, 201, 201]
        assert again.status_code == 201

    def test_of_the_platform_binds_everybody(
        self, operator: Staff, alice: Trader, bob: Trader
    ) -> None:
        first = operator.api.post("/api/admin/exchange/freeze-withdrawals", WHY)
        again = operator.api.post("/api/admin/exchange/freeze-withdrawals", WHY)
        sent = alice.api.post("/api/wallet/transfer", self.TRANSFER)
        # As a process that starts anew.
        forget_switches()
        later = alice.api.post("/api/wallet/transfer", self.TRANSFER)

        assert first.status_code == 200
        assert (again.status_code, error_code(again)) == (409, "NOTHING_TO_CHANGE")
        assert [error_code(sent), error_code(later)] == ["WITHDRAWALS_FROZEN"] * 2


class TestPriceSource:
    def test_is_off_until_it_is_switched_on(self, operator: Staff) -> None:
        operator.api.post("/api/admin/price-sources/kraken/off", WHY)
        forget_switches()
        off = sources_switched_off()
        unknown = operator.api.post("/api/admin/price-sources/nowhere/off", WHY)
        operator.api.post("/api/admin/price-sources/kraken/on", WHY)

        assert off == {"kraken"}
        assert unknown.status_code == 404
        assert sources_switched_off() == frozenset()


class TestRules:
    def test_what_is_left_out_stays_and_so_does_a_halt(
        self, exchange: MarginHarness, operator: Staff
    ) -> None:
        before = selectors.market_by_symbol("BTC-USDT")
        operator.api.post("/api/admin/markets/BTC-USDT/halt", WHY)

        answer = operator.api.post(
            "/api/admin/market/BTC-USDT", {**WHY, "min_notional": "25", "price_band": "0.2"}
        )

        selectors.cache_clear()
        market = selectors.market_by_symbol("BTC-USDT")
        assert answer.json()["result"]["min_notional"] == "25"
        assert (market.notional_min_atoms, market.price_band_e8) == (25 * 10**8, 20_000_000)
        assert (market.tick_atoms, market.safety) == (before.tick_atoms, before.safety)
        assert market.status is MarketStatus.HALTED

    def test_a_halt_that_comes_in_between_is_kept(
        self, exchange: MarginHarness, operator: Staff, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from markets import configure_operations

        submit = configure_operations.operator_submit

        def overtaken(command: Any) -> Any:
            if isinstance(command, ConfigureMarket):
                operator.api.post("/api/admin/markets/BTC-USDT/halt", WHY)
            return submit(command)

        monkeypatch.setattr(configure_operations, "operator_submit", overtaken)
        operator.api.post("/api/admin/market/BTC-USDT", {**WHY, "min_notional": "25"})

        selectors.cache_clear()
        assert selectors.market_by_symbol("BTC-USDT").status is MarketStatus.HALTED

    def test_a_lot_that_would_round_is_explained(self, operator: Staff) -> None:
        answer = operator.api.post(
            "/api/admin/market/BTC-USDT", {**WHY, "tick_size": "0.00001", "lot_size": "0.0001"}
        )

        assert (answer.status_code, error_code(answer)) == (422, "TICK_LOT_RULE")
        assert "a multiple of 0.001." in answer.json()["error"]["message"]
        assert [event["after"]["result"] for event in audited("market.configure")] == [
            "TICK_LOT_RULE"
        ]


class TestTermsPreview:
    def test_names_who_would_be_above_the_cap_or_below_maintenance(
        self, exchange: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        from accounts.enums import Role

        for trader in (alice, bob):
            exchange.margin(trader.account_id, 1_000)
        exchange.set_up(alice.account_id, 20)
        exchange.trade(alice.account_id, bob.account_id, "0.1")
        manager = staff_member(Role.RISK_MANAGER)
        path = f"/api/admin/markets/{SYMBOL}/terms/preview"

        def preview(rate: str, leverage: int) -> Any:
            tier = {"floor": "0", "maintenance_rate": rate, "max_leverage": leverage}
            return manager.api.post(path, {**WHY, "brackets": [tier]}).json()

        calm, capped, harsh = preview("0.01", 20), preview("0.05", 15), preview("0.2", 5)

        # Alice has 20x, Bob the usual 10x; 1,000 USDT back 6,000 of notional each.
        assert calm["summary"].startswith("Nobody would be affected; 2 of 2 ")
        assert [(row[0], row[-1]) for row in capped["rows"]] == [
            (str(alice.account_id), "above 15x")
        ]
        assert sorted(row[-1] for row in harsh["rows"]) == ["below maintenance, above 5x"] * 2
        # It changed nothing, and nobody is told of it.
        (contract,) = exchange.exchange.image().contracts
        assert contract.brackets[0][3] == BRACKETS[0][2]
        assert audited("market.terms") == []


class TestQuarantine:
    def set_aside(self, account_id: int, command: AnyCommand | None = None) -> str:
        command_id, command = "set-aside", command or CancelAllOrders(account_id)
        row = Quarantine.objects.create(
            id=hash_key((0, command_id)),
            command_id=command_id,
            type=type(command).__name__,
            error="ZeroDivisionError()",
            payload=encode(Submission(command_id, command)),
            created_ms=1,
        )
        return f"/api/admin/quarantine/{row.pk}"

    def test_a_released_command_is_carried_out_once(self, operator: Staff, alice: Trader) -> None:
        alice.placed()
        path = self.set_aside(alice.account_id)
        waiting = waiting_count()

        released = operator.api.post(f"{path}/release", WHY)
        again = operator.api.post(f"{path}/release", WHY)
        dropped = operator.api.post(f"{path}/discard", WHY)

        assert (waiting, waiting_count()) == (1, 0)
        assert released.json()["result"]["decision"] == "released"
        assert alice.api.get("/api/orders").json()["items"] == []
        assert [error_code(again), error_code(dropped)] == ["REQUEST_DECIDED"] * 2

    def test_a_discarded_one_never_happens(self, operator: Staff, alice: Trader) -> None:
        alice.placed()
        path = self.set_aside(alice.account_id)

        operator.api.post(f"{path}/discard", WHY)
        released = operator.api.post(f"{path}/release", WHY)

        assert error_code(released) == "REQUEST_DECIDED"
        assert len(alice.api.get("/api/orders").json()["items"]) == 1

    def test_one_that_is_refused_goes_on_waiting(self, operator: Staff, alice: Trader) -> None:
        market_id = selectors.market_by_symbol("BTC-USDT").market_id
        order = limit_order(
            alice.account_id, Side.BUY, market_id=market_id, price=90, quantity_atoms=10**8
        )
        path = self.set_aside(alice.account_id, order)
        operator.api.post("/api/admin/markets/BTC-USDT/halt", WHY)

        refused = operator.api.post(f"{path}/release", WHY)
        waiting = waiting_count()
        operator.api.post("/api/admin/markets/BTC-USDT/resume", WHY)
        released = operator.api.post(f"{path}/release", WHY)

        assert (refused.status_code, error_code(refused)) == (422, "MARKET_HALTED")
        assert waiting == 1
        assert released.status_code == 200
        assert len(alice.api.get("/api/orders").json()["items"]) == 1
        results = [event["after"]["result"] for event in audited("quarantine.release")]
        assert results == ["MARKET_HALTED", "OK"]

    def test_the_pages_say_what_was_decided(self, operator: Staff, alice: Trader) -> None:
        path = self.set_aside(alice.account_id)
        (row,) = Quarantine.objects.all()
        lists, page = reverse(f"{ADMIN}_changelist"), reverse(f"{ADMIN}_change", args=[row.pk])
        before = [operator.browser.get(address).content.decode() for address in (lists, page)]
        operator.api.post(f"{path}/discard", WHY)
        after = [operator.browser.get(address).content.decode() for address in (lists, page)]
        status = operator.browser.get(reverse("section-status")).content.decode()

        assert all("waiting" in text for text in before)
        assert all("discarded" in text for text in after)
        assert f"account: {alice.account_id}" in before[1]
        assert "1970-01-01 00:00:00<" in before[1].replace("\n", "")
        assert "quarantine-discard" in before[1]
        assert "quarantine-discard" not in after[1]
        assert "0 waiting" in status

    def test_one_that_could_not_be_sent_can_be_released_later(
        self, operator: Staff, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from adminpanel import operations
        from exchange.errors import ExchangeUnavailable

        path, submit = self.set_aside(alice.account_id), operations.operator_submit

        def away(_command: Any) -> None:
            raise ExchangeUnavailable

        monkeypatch.setattr(operations, "operator_submit", away)
        gone = operator.api.post(f"{path}/release", WHY)
        monkeypatch.setattr(operations, "operator_submit", submit)
        later = operator.api.post(f"{path}/release", WHY)

        assert error_code(gone) == "ENGINE_UNAVAILABLE"
        assert later.status_code == 200


class TestNotices:
    def test_are_listed_for_whom_they_are(
        self, operator: Staff, alice: Trader, bob: Trader
    ) -> None:
        operator.api.post(user_path(alice, "notify"), {**WHY, "text": "Your deposit arrived."})
        operator.api.post("/api/admin/exchange/announce", {**WHY, "text": "Maintenance."})

        mine = alice.api.get("/api/account/notices").json()["items"]
        theirs = bob.api.get("/api/account/notices").json()["items"]

        assert [notice["text"] for notice in mine] == ["Maintenance.", "Your deposit arrived."]
        assert [notice["to_everybody"] for notice in mine] == [True, False]
        assert theirs == mine[:1]
        assert notices_snapshot(bob.account_id) == {"notices": theirs}

    def test_reach_who_listens(
        self, operator: Staff, alice: Trader, bob: Trader, redis_client: Any
    ) -> None:
        projector = PrivateProjector(redis_client)
        projector._watched = {
            alice.account_id: WatchedAccount(),
            bob.account_id: WatchedAccount(),
        }
        operator.api.post(user_path(alice, "notify"), {**WHY, "text": "Yours."})
        operator.api.post("/api/admin/exchange/announce", {**WHY, "text": "All's."})

        projector._take_notices(1)

        told = [(account, channel, data["text"]) for account, channel, data, _ in projector._frames]
        assert told[0] == (alice.account_id, "notices", "Yours.")
        assert sorted(told[1:]) == sorted(
            (trader.account_id, "notices", "All's.") for trader in (alice, bob)
        )


class TestUsers:
    def test_are_found_and_paged(self, operator: Staff, alice: Trader, bob: Trader) -> None:
        def names(query: str) -> list[str]:
            items = operator.api.get(f"/api/admin/users{query}").json()["items"]
            return [item["username"] for item in items]

        first = operator.api.get("/api/admin/users?limit=2").json()
        rest = names(f"?limit=2&cursor={first['next_cursor']}")
        alice_id = User.objects.get(username="alice").pk

        assert [user["username"] for user in first["items"]] == ["bob", "alice"]
        assert rest == ["a_operator"]
        assert names("?search=ali") == ["alice"]
        assert names("?search=BOB@example.com") == ["bob"]
        assert names(f"?search={alice_id}") == ["alice"]
        assert names(f"?search={bob.account_id}") == ["bob"]
        assert names("?search=nobody") == []
        assert names("?role=operator") == ["a_operator"]
        assert names("?active=false") == []

    def test_cost_a_fixed_number_of_queries(
        self, operator: Staff, alice: Trader, bob: Trader, django_assert_max_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(8):
            operator.api.get("/api/admin/users")
