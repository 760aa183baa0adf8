"""The back-office's own pages: what they say of money, jobs, sources and processes, and to whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db.models import F
from django.test import Client
from django.urls import reverse

from accounts.audit_verify import audit_check_keep
from accounts.models import AuditEvent, User
from adminpanel.section_urls import urlpatterns
from adminpanel.sections.jobs import periodic_row
from common.jobs import JobRun, JobState, record
from common.tables import Tone
from exchange import gateway
from exchange.core.commands import Debit
from exchange.core.enums import WalletKind
from exchange.core.units import ATOMS
from markets.enums import PriceState, SourceStatus
from markets.feeds import keys as feed_keys
from markets.feeds.engine import IndexView, SourceView
from markets.feeds.health import encode_health
from positions.tasks import ledger_verify, trial_balance_count
from positions.trial_balance import trial_balance
from tests.support.exchange import BTC, USDT, ExchangeHarness
from tests.support.plans import watched_reads
from tests.support.tampering import alter, rows
from tests.support.trading import Trader
from wallets.models import Balance, LedgerEntry

pytestmark = pytest.mark.integration

NAMES = [pattern.name for pattern in urlpatterns]
SEEN = {
    "support": {
        "section-trial-balance",
        "section-deposits",
        "section-insurance",
        "section-price-sources",
    },
    "auditor": set(NAMES),
    "risk_manager": set(NAMES),
    "operator": set(NAMES),
    "admin": set(NAMES),
}
QUERIES_MAX = 20


@pytest.fixture(autouse=True)
def _redis(redis_client: redis.Redis) -> Iterator[None]:
    redis_client.flushdb()
    yield
    redis_client.flushdb()


@pytest.fixture
def office(exchange: ExchangeHarness, alice: Trader, bob: Trader) -> Client:
    """An auditor's browser beside a trade and an open order."""
    alice.placed(side="sell", quantity="0.1")
    bob.placed(quantity="0.1")
    bob.placed(price="12345.67", quantity="0.2")
    return browser_of(alice, "auditor")


def browser_of(trader: Trader, role: str) -> Client:
    User.objects.filter(username=trader.name).update(role=role)
    client = Client()
    client.force_login(User.objects.get(username=trader.name))
    return client


def text_of(client: Client, name: str) -> str:
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    return answer.content.decode()


class TestRoles:
    @pytest.mark.parametrize("role", list(SEEN))
    def test_see_what_they_may(self, office: Client, bob: Trader, role: str) -> None:
        client = browser_of(bob, role)
        index = client.get(reverse("admin:index")).content.decode()

        for name in NAMES:
            seen = name in SEEN[role]
            assert client.get(reverse(name)).status_code == (200 if seen else 403)
            assert (reverse(name) in index) == seen

    def test_strangers_are_sent_to_the_login(self, office: Client, bob: Trader) -> None:
        trader = browser_of(bob, "trader")

        for name in NAMES:
            assert Client().get(reverse(name)).status_code == 302
            assert trader.get(reverse(name)).status_code == 302

    def test_pages_ask_little(self, office: Client) -> None:
        trial_balance_count()
        for name in NAMES:
            with watched_reads() as reads:
                text_of(office, name)
            assert reads.count <= QUERIES_MAX, name

    def test_without_redis_they_say_so(
        self, office: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> Any:
            raise redis.ConnectionError

        monkeypatch.setattr("common.redis.client", refuse)

        assert "Redis does not answer." in text_of(office, "section-trial-balance")


class TestTrialBalance:
    def test_is_zero_in_every_asset(self, office: Client) -> None:
        trial_balance_count()

        page = text_of(office, "section-trial-balance")

        assert "Zero in every asset" in page
        assert "NOT zero" not in page
        # Both own 1,000,000; fees were paid from it to the exchange.
        assert "1999990.00" in page

    def test_counts_users_and_exchange_apart(self, office: Client) -> None:
        trial = trial_balance(time_ms=1)

        btc, usdt = (a for a in trial.assets if a.asset_id in (BTC, USDT))
        assert (btc.spot_atoms, btc.external_atoms, btc.sum_atoms) == (20 * ATOMS, -20 * ATOMS, 0)
        assert usdt.users_atoms + usdt.exchange["fees"] == 2_000_000 * ATOMS
        assert usdt.held_atoms > 2_469 * ATOMS
        assert usdt.sum_atoms == 0

    def test_says_in_red_that_money_is_missing(self, office: Client, bob: Trader) -> None:
        of_bob = {"account_id": bob.account_id, "asset_id": USDT}
        alter(Balance, of_bob, total_atoms=F("total_atoms") - 1)

        assert trial_balance_count() == "not zero"

        page = text_of(office, "section-trial-balance")
        assert "NOT zero" in page
        assert "-0.00000001" in page

    def test_the_full_check_names_what_is_wrong(self, office: Client, bob: Trader) -> None:
        assert ledger_verify().startswith("ok")
        assert "found no difference" in text_of(office, "section-trial-balance")
        newest = rows(LedgerEntry, account_id=bob.account_id).order_by("-id")[0]
        alter(LedgerEntry, {"id": newest.pk}, balance_atoms=F("balance_atoms") + 1)

        assert ledger_verify() == "differences"

        page = text_of(office, "section-trial-balance")
        assert "found differences" in page
        assert "its ledger ends at" in page

    def test_an_old_count_is_told_to_be_old(
        self, office: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trial_balance_count()
        later = time.time_ns() + 600 * 10**9
        monkeypatch.setattr("adminpanel.sections.trial.time.time_ns", lambda: later)

        assert "Zero when last counted, but that is old" in text_of(office, "section-trial-balance")


class TestDeposits:
    def test_show_what_moved_for_whom_and_why(self, office: Client, bob: Trader) -> None:
        gateway.submit(
            Debit(bob.account_id, WalletKind.SPOT, USDT, 5 * ATOMS, "court order", "olivia")
        )

        table = office.get(reverse("section-deposits")).context["tables"][0]

        assert len(table.rows) == 7
        newest = table.rows[0]
        assert newest["kind"].text == "withdrawal"
        assert newest["account"].text == str(bob.account_id)
        assert (newest["amount"], newest["currency"]) == ("-5.00000000", "USDT")
        assert newest["reason"] == "court order"

    def test_a_page_that_cannot_be_one_is_not_found(self, office: Client) -> None:
        assert office.get(reverse("section-deposits"), {"from": "x"}).status_code == 404


class TestPriceSources:
    def test_show_age_price_state_and_divergence(
        self, office: Client, bob: Trader, redis_client: redis.Redis
    ) -> None:
        sources = (
            SourceView("binance", SourceStatus.OK, "", 50_000 * ATOMS, 250, 12_000),
            SourceView("kraken", SourceStatus.STALE, "TOO_OLD", 49_000 * ATOMS, 20_000, None),
        )
        view = IndexView("BTC-USDT", 50_000 * ATOMS, PriceState.DEGRADED, sources)
        raw = encode_health(
            mode="live",
            holder="feed:1",
            time_ms=time.time_ns() // 10**6,
            note="One source.",
            views=[view],
        )
        redis_client.set(feed_keys.health_key(), raw)

        answer = office.get(reverse("section-price-sources"))
        theirs = text_of(browser_of(bob, "risk_manager"), "section-price-sources")

        venues, indexes, table = answer.context["tables"]
        assert {row["state"].text for row in venues.rows} == {"listened to"}
        assert "price-source-off/kraken" not in answer.content.decode()
        assert "price-source-off/kraken" in theirs
        assert indexes.rows[0]["used"] == "1 of 2"
        binance, kraken = table.rows
        assert (binance["price"], binance["age"]) == ("50000", "0.2 s")
        assert binance["divergence"] == "0.0120 %"
        assert kraken["status"].tone is Tone.WARNING
        assert kraken["reason"] == "too old"
        assert "One source. Fed by feed:1" in answer.content.decode()

    def test_without_a_feed_say_that_trading_halts(self, office: Client) -> None:
        assert "Nobody feeds prices" in text_of(office, "section-price-sources")


class TestStatus:
    def test_shows_checks_leader_and_audit_chain(self, office: Client) -> None:
        audit_check_keep()

        page = text_of(office, "section-status")

        assert "Not ready: projector, feed." in page
        assert "The audit log is whole" in page
        assert "Lease renewed" in page

    def test_tells_that_the_audit_log_was_altered(self, office: Client) -> None:
        alter(AuditEvent, {"id": 1}, reason="nothing")
        check = audit_check_keep()

        assert check.number == 0
        assert "The audit log is broken: event 1 was altered" in text_of(office, "section-status")


class TestJobs:
    def test_the_last_runs_are_shown(self, office: Client, redis_client: redis.Redis) -> None:
        now_ms = time.time_ns() // 10**6
        record(redis_client, JobRun("positions.trial_balance", now_ms, 12.5, "failure", "OSError"))
        record(redis_client, JobRun("accounts.mail_verification", now_ms, 3.0, "success"))

        page = text_of(office, "section-jobs")

        assert "Late, or failed the last time: positions.trial_balance." in page
        assert "OSError" in page
        assert "accounts.mail_verification" in page

    @pytest.mark.parametrize(
        ("_case", "outcome", "late", "expected"),
        [
            ("in time", "success", False, ("success", Tone.GOOD)),
            ("late", "success", True, ("late", Tone.WARNING)),
            ("failed, however long ago", "failure", True, ("failure", Tone.BAD)),
            ("not yet", "", False, ("not yet", Tone.NOTE)),
            ("sent and never run", "", True, ("late", Tone.WARNING)),
        ],
    )
    def test_state(self, _case: str, outcome: str, late: bool, expected: tuple[str, Tone]) -> None:
        last = JobRun("job", 1_000, 5.0, outcome) if outcome else None
        state = JobState("job", 3_600_000, last, 3_601_000, late)

        row = periodic_row(state, now_ms=2_000)

        assert (row["state"].text, row["state"].tone) == expected
        assert (row["every"], row["due"]) == ("60 min", 3_601_000)


def test_a_login_without_a_page_leads_to_the_first(alice: Trader) -> None:
    User.objects.filter(username="alice").update(role="admin")

    answer = Client().post(
        reverse("admin:login"), {"username": "alice", "password": "correct horse 9"}
    )

    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:index")
