"""The back-office's lists: pages by key, few queries, each along an index."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.account_tabs import TAB_URL, account_tabs
from accounts.models import User
from common.back_office import KeysetAdmin
from exchange.core.units import ATOMS
from tests.support.exchange import USDT, ExchangeHarness
from tests.support.plans import watched_reads
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

# One row per market, asset, tier, insurance group or installation.
SMALL = (
    "markets_market",
    "markets_asset",
    "markets_indexprice",
    "markets_feedstate",
    "accounts_feetier",
    "exchange_logposition",
    "exchange_quarantine",
    "riskengine_contract",
    "riskengine_price",
    "riskengine_insurance",
    "wallets_withdrawalterms",
)
admin.autodiscover()
OURS = [a for a in admin.site._registry.values() if isinstance(a, KeysetAdmin)]
QUERIES_MAX = 8


def url_of(model_admin: admin.ModelAdmin) -> str:
    opts = model_admin.model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")


def name_of(model_admin: admin.ModelAdmin) -> str:
    return model_admin.model._meta.label_lower


@pytest.fixture
def office(exchange: ExchangeHarness, alice: Trader, bob: Trader) -> Client:
    """An administrator's browser beside some of everything that spot trading leaves."""
    for number in range(6):
        alice.placed(side="sell", quantity="0.01")
        bob.placed(quantity="0.01")
        bob.placed(price=str(20_000 + number), quantity="0.01")
        exchange.credit(bob.account_id, USDT, ATOMS)
    User.objects.filter(username="alice").update(role="admin")
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    return client


class TestPages:
    @pytest.mark.parametrize(
        ("path", "query", "total"),
        [
            ("orders/order", "", 18),
            ("orders/order", "open=1", 6),
            ("orders/order", "q={bob}", 12),
            ("orders/order", "q={bob}&open=1", 6),
            ("orders/trade", "", 6),
            ("wallets/ledgerentry", "q={bob}", 15),
            ("wallets/balance", "q={bob}", 3),
            ("accounts/user", "active=1", 2),
        ],
    )
    def test_older_pages_follow_and_miss_nothing(
        self,
        office: Client,
        bob: Trader,
        monkeypatch: pytest.MonkeyPatch,
        path: str,
        query: str,
        total: int,
    ) -> None:
        monkeypatch.setattr(KeysetAdmin, "list_per_page", 2)
        page: str | None = f"?{query.format(bob=bob.account_id)}"
        seen: list[int] = []

        while page is not None:
            shown = office.get(f"/admin/{path}/{page}").context["cl"]
            assert 0 < len(shown.result_list) <= 2
            seen += [row.pk for row in shown.result_list]
            page = shown.older_url

        assert len(seen) == total
        assert seen == sorted(set(seen), reverse=True)

    def test_newer_pages_lead_back(self, office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(KeysetAdmin, "list_per_page", 4)
        pages: list[list[int]] = []
        address = ""
        for _ in range(3):
            shown = office.get(f"/admin/orders/order/{address}").context["cl"]
            pages.append([row.pk for row in shown.result_list])
            address = shown.older_url
        back = shown.newer_url
        for expected in (pages[1], pages[0]):
            shown = office.get(f"/admin/orders/order/{back}").context["cl"]
            assert [row.pk for row in shown.result_list] == expected
            back = shown.newer_url

        assert back is None
        assert shown.newest_url == "?"

    def test_rows_that_are_added_move_no_page(
        self, office: Client, bob: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(KeysetAdmin, "list_per_page", 4)
        older = office.get("/admin/orders/order/").context["cl"].older_url
        before = office.get(f"/admin/orders/order/{older}").context["cl"].result_list

        bob.placed(price="20000", quantity="0.01")

        after = office.get(f"/admin/orders/order/{older}").context["cl"].result_list
        assert [row.pk for row in after] == [row.pk for row in before]

    def test_a_filter_begins_at_the_newest_again(
        self, office: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(KeysetAdmin, "list_per_page", 4)
        older = office.get("/admin/orders/order/").context["cl"].older_url

        page = office.get(f"/admin/orders/order/{older}").content.decode()

        assert "?open=1" in page
        assert "open=1&amp;before" not in page
        assert "before=" + "0" not in page
        assert 'name="before"' not in page

    @pytest.mark.parametrize("key", ["x", "-1", "1.5", "9" * 20, "1-2"])
    def test_what_is_no_key_leads_to_the_start(self, office: Client, key: str) -> None:
        answer = office.get(f"/admin/orders/order/?before={key}")

        assert answer.status_code == 302
        assert answer["Location"] == "/admin/orders/order/?e=1"

    def test_columns_cannot_be_sorted_by(self, office: Client) -> None:
        plain = office.get("/admin/orders/order/").context["cl"].result_list
        asked = office.get("/admin/orders/order/?o=3.-1").context["cl"].result_list

        assert [row.pk for row in asked] == [row.pk for row in plain]


class TestSearch:
    @pytest.mark.parametrize(
        ("term", "found"),
        [
            ("bob", {"bob"}),
            ("BOB", {"bob"}),
            (" bob ", {"bob"}),
            ("bo", {"bob"}),
            ("bob@example.com", {"bob"}),
            ("{account}", {"bob"}),
            ("ob", set()),
            ("%", set()),
            ("9" * 30, set()),
            ("' OR 1=1", set()),
        ],
    )
    def test_users(self, office: Client, bob: Trader, term: str, found: set[str]) -> None:
        answer = office.get("/admin/accounts/user/", {"q": term.format(account=bob.account_id)})

        assert {row.username for row in answer.context["cl"].result_list} == found

    @pytest.mark.parametrize("path", ["accounts/session", "accounts/auditevent"])
    def test_by_a_name(self, office: Client, path: str) -> None:
        answer = office.get(f"/admin/{path}/", {"q": "bob"})

        rows = answer.context["cl"].result_list
        assert rows
        assert all("bob" in (getattr(r, "actor", ""), str(getattr(r, "user", ""))) for r in rows)


class TestQueries:
    def test_lists_ask_little_and_along_indexes(self, office: Client) -> None:
        assert len(OURS) > 20
        for model_admin in OURS:
            with watched_reads() as reads:
                assert office.get(url_of(model_admin)).status_code == 200

            assert reads.offences(*SMALL) == [], name_of(model_admin)
            assert reads.count <= QUERIES_MAX, name_of(model_admin)

    def test_nothing_is_counted_even_where_that_is_asked_for(self, office: Client) -> None:
        for model_admin in (a for a in OURS if a.list_filter):
            with watched_reads() as reads:
                shown = office.get(url_of(model_admin), {"_facets": "1"})

            assert not any("COUNT(" in sql for sql, _ in reads.plans), name_of(model_admin)
            assert "Show counts" not in shown.content.decode()

    @pytest.mark.parametrize("direction", ["before", "after"])
    def test_later_pages_do_too(self, office: Client, direction: str) -> None:
        for model_admin in OURS:
            query = {direction: "-".join(["500"] * len(model_admin.keyset_columns))}
            with watched_reads() as reads:
                assert office.get(url_of(model_admin), query).status_code == 200

            assert reads.offences(*SMALL) == [], name_of(model_admin)

    @pytest.mark.parametrize("term", ["{bob}", "bob", "1", "user.register"])
    def test_searches_do_too(self, office: Client, bob: Trader, term: str) -> None:
        for model_admin in OURS:
            if not model_admin.search_fields:
                continue
            with watched_reads() as reads:
                answer = office.get(url_of(model_admin), {"q": term.format(bob=bob.account_id)})

            assert answer.status_code == 200
            assert _without_bounded_sorts(reads.offences(*SMALL)) == [], name_of(model_admin)
            assert reads.count <= QUERIES_MAX + 6, name_of(model_admin)

    def test_every_filter_that_is_offered_has_an_index(self, office: Client) -> None:
        filtered = [a for a in OURS if a.list_filter]
        assert len(filtered) > 2
        for model_admin in filtered:
            shown = office.get(url_of(model_admin)).context["cl"]
            choices = [c for spec in shown.filter_specs for c in spec.choices(shown)]
            assert len(choices) > 1
            # A period has two fields instead of choices: see the tests of the audit log.
            for choice in (choice for choice in choices if "query_string" in choice):
                with watched_reads() as reads:
                    answer = office.get(url_of(model_admin) + choice["query_string"])

                assert answer.status_code == 200
                assert reads.offences(*SMALL) == [], (name_of(model_admin), choice)

    def test_more_rows_are_no_more_queries(
        self, office: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for model_admin in OURS:
            counts = []
            for rows in (1, 3):
                monkeypatch.setattr(type(model_admin), "list_per_page", rows)
                with watched_reads() as reads:
                    office.get(url_of(model_admin))
                # A process knows markets and assets for a while, then reads them again.
                counts.append(reads.count_without("markets_market", "markets_asset"))
            assert counts[0] == counts[1], name_of(model_admin)

    def test_tabs_ask_little_and_along_indexes(self, office: Client, bob: Trader) -> None:
        user_id = User.objects.get(username="bob").pk
        for slug in account_tabs():
            with watched_reads() as reads:
                answer = office.get(
                    reverse(TAB_URL, kwargs={"object_id": str(user_id), "slug": slug})
                )

            assert answer.status_code == 200
            assert _without_bounded_sorts(reads.offences(*SMALL)) == [], slug
            assert reads.count <= 14, slug


def _without_bounded_sorts(offences: list[str]) -> list[str]:
    """Leave out sorts of rows named one by one, of one account's wallets, of a chain's part."""
    bounded = (" IN (", '"wallets_balance"."account_id" = ', "ORDER BY chain.depth")
    return [
        text
        for text in offences
        if not ("TEMP B-TREE" in text and any(mark in text for mark in bounded))
    ]


def test_login_by_an_address_uses_its_index(office: Client, bob: Any) -> None:
    from accounts.selectors import user_by_login

    with watched_reads() as reads:
        user_by_login("bob@example.com")

    assert reads.count == 1
    assert reads.offences() == []
