"""Exports: who may, what is in them, what happens when a worker dies, and what is left behind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from accounts import authentication, sessions
from accounts.models import AuditEvent, User
from adminpanel.exports import services, statement
from adminpanel.exports.filters import Filters, encode_filters
from adminpanel.models import Export
from adminpanel.tasks import tend_exports, write_exports
from common.ids import make_id
from common.key_ranges import KeyRange, keys_of_time
from common.request_id import HEADER
from exchange import gateway
from exchange.core.enums import WalletKind
from exchange.wire import now_ms
from orders.archive import order_keys, orders_in
from tests.support.exchange import BTC, USDT, ExchangeHarness, FakeClock
from tests.support.trading import Trader, reset_process
from wallets.models import LedgerEntry

pytestmark = pytest.mark.integration
REASON = {"reason": "yearly audit"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now_ms() - 600_000)


@pytest.fixture
def exchange(db: None, clock: FakeClock) -> Iterator[ExchangeHarness]:
    """An exchange whose time moves only when told, ten minutes ago."""
    reset_process()
    harness = ExchangeHarness(clock_ms=clock)
    harness.seed_markets()
    gateway.use_inline(harness)
    yield harness
    gateway.use_inline(None)
    reset_process()


@pytest.fixture(autouse=True)
def own_directory(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.VAR_DIR = tmp_path
    return iter([tmp_path])


def _staff(trader: Trader, role: str) -> Trader:
    User.objects.filter(username=trader.name).update(role=role)
    # What the process remembers of the role for a second.
    sessions.reset()
    authentication.forget_checked()
    return trader


def _asked(trader: Trader, **fields: Any) -> dict[str, Any]:
    """Ask for an export, let the worker work, and return how it is then."""
    answer = trader.api.post("/api/admin/exports", {**REASON, **fields})
    assert answer.status_code == 201, answer.content
    write_exports()
    found: dict[str, Any] = trader.api.get(f"/api/admin/exports/{answer.json()['id']}").json()
    return found


def _rows(trader: Trader, export: dict[str, Any]) -> list[dict[str, str]]:
    answer = trader.api.get(f"/api/admin/exports/{export['id']}/file")
    assert answer.status_code == 200, answer.content
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def _trade(alice: Trader, bob: Trader) -> None:
    alice.placed(side="sell", quantity="0.2")
    bob.placed(side="buy", quantity="0.2")


class TestRows:
    def test_orders_fills_and_ledger_say_what_happened(self, alice: Trader, bob: Trader) -> None:
        _trade(alice, bob)
        boss = _staff(alice, "operator")

        orders = _rows(boss, _asked(boss, kind="orders"))
        fills = _rows(boss, _asked(boss, kind="fills", symbol="BTC-USDT"))
        ledger = _rows(boss, _asked(boss, kind="ledger", account_id=str(bob.account_id)))

        assert [(row["side"], row["status"], row["filled"]) for row in orders] == [
            ("sell", "filled", "0.2"),
            ("buy", "filled", "0.2"),
        ]
        (fill,) = fills
        assert (fill["price"], fill["quote_amount"], fill["taker_fee"]) == ("50000", "10000", "10")
        assert fill["taker_account_id"] == str(bob.account_id)
        assert {row["account_id"] for row in ledger} == {str(bob.account_id)}
        assert ledger[-1]["kind"] == "trade"

    def test_filters_leave_out_what_they_say(self, alice: Trader, bob: Trader) -> None:
        _trade(alice, bob)
        boss = _staff(alice, "operator")

        own = _rows(boss, _asked(boss, kind="orders", account_id=str(bob.account_id)))
        other = _rows(boss, _asked(boss, kind="orders", symbol="ETH-USDT"))
        before = _rows(boss, _asked(boss, kind="fills", until=1_000))

        assert [row["side"] for row in own] == ["buy"]
        assert (other, before) == ([], [])

    def test_users_have_no_secret_in_them(self, alice: Trader, bob: Trader) -> None:
        boss = _staff(alice, "operator")

        export = _asked(boss, kind="users")
        rows = _rows(boss, export)

        assert {row["username"] for row in rows} == {"alice", "bob"}
        assert not [name for name in rows[0] if "password" in name or "secret" in name]

    def test_the_audit_log_keeps_formulas_apart(self, alice: Trader) -> None:
        boss = _staff(alice, "admin")
        _asked(boss, kind="ledger", reason="=cmd|' /C calc'!A0")

        rows = _rows(boss, _asked(boss, kind="audit"))

        asked = next(row for row in rows if row["action"] == "export.request")
        assert asked["reason"] == "'=cmd|' /C calc'!A0"
        assert json.loads(asked["after"])["kind"] == "ledger"


class TestStatement:
    def test_closing_is_opening_and_every_entry(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        exchange.credit(bob.account_id, USDT, 500, WalletKind.MARGIN)
        _trade(alice, bob)
        boss = _staff(alice, "auditor")

        rows = _rows(boss, _asked(boss, kind="statement", account_id=str(bob.account_id)))

        opening = {
            (r["wallet"], r["currency"]): r["balance"] for r in rows if r["record"] == "opening"
        }
        closing = {
            (r["wallet"], r["currency"]): r["balance"] for r in rows if r["record"] == "closing"
        }
        assert set(opening.values()) == {"0"}
        assert closing["spot", "BTC"] == "10.2"
        assert closing["spot", "USDT"] == "989990"
        assert closing["margin", "USDT"] == "0.000005"
        entries = [row for row in rows if row["record"] == "entry"]
        # Five credits, one of them to the margin wallet, and both legs of the trade.
        assert len(entries) == 4 + 2
        assert entries[-1]["balance"] == "989990"

    def test_a_period_opens_with_what_was_before_it(
        self, exchange: ExchangeHarness, clock: FakeClock, alice: Trader, bob: Trader
    ) -> None:
        first_ms = LedgerEntry.objects.filter(account_id=bob.account_id).latest("id").time_ms
        clock.advance(5_000)
        _trade(alice, bob)
        clock.advance(5_000)
        exchange.credit(bob.account_id, BTC, 7)
        last_ms = LedgerEntry.objects.latest("id").time_ms
        filters = Filters(first_ms + 1, last_ms, bob.account_id)

        plan = statement.statement_plan(filters)
        rows = [row for part in plan.rows for row in part]

        spot_btc = [row[5] for row in rows if (row[2], row[3]) == ("spot", "BTC")]
        # Opening, the trade, closing; the credit after the period is in none.
        assert spot_btc == ["10", "10.2", "10.2"]

    def test_a_ledger_that_does_not_add_up_is_no_statement(
        self, alice: Trader, bob: Trader
    ) -> None:
        _trade(alice, bob)
        entry = LedgerEntry.objects.filter(account_id=bob.account_id).order_by("id").last()
        assert entry is not None
        LedgerEntry.objects.filter(id=entry.id).update(amount_atoms=entry.amount_atoms + 1)
        boss = _staff(alice, "operator")

        export = _asked(boss, kind="statement", account_id=str(bob.account_id))

        assert export["status"] == "failed"
        assert "the spot wallet of" in export["error"]
        assert list(services.directory().iterdir()) == []


class TestWho:
    @pytest.mark.parametrize(
        ("role", "kinds"),
        [
            ("trader", set()),
            ("support", set()),
            ("auditor", {"orders", "fills", "ledger", "users", "audit", "statement"}),
            ("operator", {"orders", "fills", "ledger", "users", "statement"}),
        ],
    )
    def test_a_role_exports_what_it_may_see(
        self, alice: Trader, role: str, kinds: set[str]
    ) -> None:
        boss = _staff(alice, role)
        allowed = set()
        for kind in ("orders", "fills", "ledger", "users", "audit", "statement"):
            body = {"kind": kind, **REASON}
            if kind == "statement":
                body["account_id"] = str(alice.account_id)
            answer = boss.api.post("/api/admin/exports", body)
            assert answer.status_code in {201, 403, 409}, answer.content
            if answer.status_code == 201:
                allowed.add(kind)
            Export.objects.all().delete()

        assert allowed == kinds

    def test_another_persons_export_is_not_there_but_for_administrators(
        self, alice: Trader, bob: Trader
    ) -> None:
        export = _asked(_staff(alice, "operator"), kind="orders")
        path = f"/api/admin/exports/{export['id']}/file"

        other = _staff(bob, "operator").api.get(path)
        admin = _staff(bob, "admin").api.get(path)

        assert (other.status_code, other.json()["error"]["code"]) == (404, "NOT_FOUND")
        assert admin.status_code == 200

    def test_who_lost_the_role_gets_no_file(self, alice: Trader) -> None:
        export = _asked(_staff(alice, "admin"), kind="audit")
        _staff(alice, "operator")

        answer = alice.api.get(f"/api/admin/exports/{export['id']}/file")

        assert answer.status_code == 403

    def test_each_step_leaves_one_audit_event(self, alice: Trader) -> None:
        boss = _staff(alice, "operator")
        export = _asked(boss, kind="orders")
        _rows(boss, export)

        events = AuditEvent.objects.filter(target=f"export:{export['id']}").order_by("id")

        assert [event.action for event in events] == ["export.request", "export.download"]
        assert events[0].reason == REASON["reason"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "status", "code"),
        [
            ({"kind": "secrets"}, 400, "VALIDATION_ERROR"),
            ({"kind": "orders", "reason": ""}, 400, "VALIDATION_ERROR"),
            ({"kind": "orders", "page": 1}, 400, "UNKNOWN_FIELD"),
            ({"kind": "statement"}, 400, "VALIDATION_ERROR"),
            ({"kind": "users", "symbol": "BTC-USDT"}, 400, "VALIDATION_ERROR"),
            ({"kind": "orders", "symbol": "NO-SUCH"}, 404, "MARKET_NOT_FOUND"),
            ({"kind": "orders", "account_id": "99"}, 422, "ACCOUNT_NOT_FOUND"),
            ({"kind": "orders", "since": 2_000, "until": 2_000}, 400, "VALIDATION_ERROR"),
            ({"kind": "orders", "since": -1}, 400, "VALIDATION_ERROR"),
        ],
    )
    def test_bad_requests_change_nothing(
        self, alice: Trader, fields: dict[str, Any], status: int, code: str
    ) -> None:
        boss = _staff(alice, "admin")
        before = AuditEvent.objects.count()

        answer = boss.api.post("/api/admin/exports", {**REASON, **fields})

        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert Export.objects.count() == 0
        assert AuditEvent.objects.count() == before

    def test_no_more_than_five_wait(self, alice: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "_begin", lambda: None)
        boss = _staff(alice, "admin")

        answers = [
            boss.api.post("/api/admin/exports", {"kind": "orders", **REASON}) for _ in range(6)
        ]

        assert [answer.status_code for answer in answers] == [201] * 5 + [409]
        assert answers[-1].json()["error"]["code"] == "EXPORT_LIMIT"

    def test_nothing_to_download_before_it_is_done(
        self, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "_begin", lambda: None)
        boss = _staff(alice, "admin")
        made = boss.api.post("/api/admin/exports", {"kind": "orders", **REASON}).json()

        answer = boss.api.get(f"/api/admin/exports/{made['id']}/file")
        retried = boss.api.post(f"/api/admin/exports/{made['id']}/retry", {})

        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "EXPORT_NOT_READY")
        assert (retried.status_code, retried.json()["error"]["code"]) == (409, "EXPORT_NOT_FAILED")


class TestWorker:
    def _running(self, user: User, **values: Any) -> Export:
        """A row that a worker was writing when it died."""
        now = services.now_ms()
        fields: dict[str, Any] = {
            "id": make_id(),
            "kind": "orders",
            "filters": encode_filters(Filters(0, now)),
            "reason": "test",
            "requested_by_id": user.id,
            "requested_by": user.username,
            "status": "running",
            "attempt": 1,
            "file_name": "dead.csv",
            "created_ms": now,
            "heartbeat_ms": now - services.SILENT_MS - 1,
        }
        return Export.objects.create(**(fields | values))

    def test_what_a_dead_worker_left_has_failed_and_can_be_tried_again(self, alice: Trader) -> None:
        boss = _staff(alice, "admin")
        row = self._running(User.objects.get(username="alice"))
        part = services.directory() / "dead.part"
        part.write_text("half")

        tend_exports()
        failed = boss.api.get(f"/api/admin/exports/{row.id}").json()
        retried = boss.api.post(f"/api/admin/exports/{row.id}/retry", {})
        write_exports()
        done = boss.api.get(f"/api/admin/exports/{row.id}").json()

        assert (failed["status"], failed["error"]) == (
            "failed",
            "The worker stopped before it was done.",
        )
        assert not part.exists()
        assert retried.json()["status"] in {"pending", "done"}
        assert (done["status"], done["percent"]) == ("done", 100)

    def test_each_export_is_written_under_the_request_that_asked_for_it(
        self, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        boss = _staff(alice, "admin")
        # The worker is another process and begins below. Where tests commit, on MongoDB, the
        # request would be the worker.
        monkeypatch.setattr(write_exports, "delay", lambda: None)
        left = self._running(User.objects.get(username="alice"))
        tend_exports()
        boss.api.post(f"/api/admin/exports/{left.id}/retry", {}, headers={HEADER: "asked-again-1"})
        boss.api.post(
            "/api/admin/exports", {**REASON, "kind": "fills"}, headers={HEADER: "asked-next-2"}
        )

        with bound_contextvars(request_id="of-the-task-3"):
            with capture_logs(processors=[merge_contextvars]) as logs:
                write_exports()
            after = get_contextvars()

        written = [(line["kind"], line["request_id"]) for line in logs]
        assert written == [("orders", "asked-again-1"), ("fills", "asked-next-2")]
        assert after["request_id"] == "of-the-task-3"

    def test_a_living_worker_keeps_its_export(self, alice: Trader) -> None:
        row = self._running(User.objects.get(username="alice"), heartbeat_ms=services.now_ms())

        tend_exports()
        taken = services.export_write_next()

        row.refresh_from_db()
        assert (row.status, taken) == ("running", None)

    def test_a_worker_whose_export_was_taken_away_leaves_no_file(
        self, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "REPORT_EVERY_S", 0.0)
        alice.placed(side="sell", quantity="0.2")
        row = self._running(User.objects.get(username="alice"), file_name="mine.csv")
        Export.objects.filter(id=row.id).update(status="failed")

        services._write(row)

        assert list(services.directory().iterdir()) == []
        row.refresh_from_db()
        assert row.status == "failed"

    def test_a_full_disk_is_a_failure_with_its_reason(
        self, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(services, "write_csv", full)
        export = _asked(_staff(alice, "admin"), kind="orders")

        assert export["status"] == "failed"
        assert "No space left on device" in export["error"]

    def test_files_are_gone_after_a_day(self, alice: Trader) -> None:
        boss = _staff(alice, "admin")
        export = _asked(boss, kind="orders")

        services.exports_tend(services.now_ms() + services.KEPT_MS)
        answer = boss.api.get(f"/api/admin/exports/{export['id']}/file")

        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "EXPORT_EXPIRED")
        assert list(services.directory().iterdir()) == []


class TestPage:
    def test_an_operator_asks_watches_and_downloads(self, alice: Trader) -> None:
        _staff(alice, "operator")
        client = Client()
        client.force_login(User.objects.get(username="alice"))

        form = {"kind": "orders", "reason": "monthly", "first_day": "2020-01-01"}
        sent = client.post("/admin/exports/", form)
        write_exports()
        (row,) = client.get("/admin/exports/status").json()["exports"]
        file = client.get(f"/admin/exports/{row['id']}/file")

        assert (sent.status_code, sent["Location"]) == (302, "/admin/exports/")
        assert row["status"] == "done"
        assert file["Content-Disposition"].startswith('attachment; filename="orders-')
        assert b"".join(file.streaming_content).startswith(b"order_id,")

    def test_a_refusal_is_shown_at_its_field(self, alice: Trader) -> None:
        _staff(alice, "operator")
        client = Client()
        client.force_login(User.objects.get(username="alice"))

        page = client.post("/admin/exports/", {"kind": "statement", "reason": "x"})

        assert page.status_code == 200
        assert "The field is missing." in page.content.decode()
        assert Export.objects.count() == 0

    def test_support_does_not_find_it(self, alice: Trader) -> None:
        _staff(alice, "support")
        client = Client()
        client.force_login(User.objects.get(username="alice"))

        assert client.get("/admin/exports/").status_code == 403
        assert client.post("/admin/exports/", {"kind": "orders"}).status_code == 403


class TestKeysOfTimes:
    def test_a_time_is_found_by_halving(self, clock: FakeClock, alice: Trader) -> None:
        times = []
        for _ in range(7):
            clock.advance(1_000)
            alice.placed(side="sell", quantity="0.01")
            times.append(clock())

        keys = order_keys(since_ms=times[2], until_ms=times[5])

        found = [row[0] for row in orders_in(keys)]
        everything = [row[0] for row in orders_in(order_keys(since_ms=0, until_ms=2**60))]
        assert found == everything[2:5]

    def test_parts_cover_a_range_once(self) -> None:
        parts = KeyRange(3, 10).parts(3)

        assert parts == [KeyRange(3, 6), KeyRange(6, 9), KeyRange(9, 10)]
        assert KeyRange(5, 5).parts(3) == []

    def test_an_empty_table_has_no_keys(self, db: None) -> None:
        assert (
            keys_of_time(
                LedgerEntry.objects.all(), time_field="time_ms", since_ms=0, until_ms=9
            ).parts(10)
            == []
        )
