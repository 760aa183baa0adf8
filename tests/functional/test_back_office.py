"""The back-office in a browser, on a platform with live prices from venues on loopback."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from markets.feeds.catalogue import VENUE_PAIR_IDS
from tests.support.browser import Browser, find_chromium
from tests.support.fake_exchanges import FakeExchanges
from tests.support.platform import PASSWORD, Platform, wait_until
from tradingplatform.withdrawal_seed import DEMO_ADDRESS

STAFF = ("risk_manager", "operator", "auditor", "admin")
MAKE_STAFF = """
from accounts.services import user_create
for role in {roles!r}:
    name = "staff_" + role
    user_create(username=name, email=name + "@example.com", password={password!r}, role=role)
"""
CORE_FAULT = Path(__file__).resolve().parents[1] / "support" / "core_fault"
# The look of everything but the width of a phone.
DESKTOP, PHONE = (1280, 900), (390, 844)
PRICES = {
    "BTC": Decimal(60_000),
    "ETH": Decimal(2_500),
    "ETH/BTC": Decimal("0.0416"),
    "USDT": Decimal(1),
}
PERPETUAL = "BTC-USDT-PERP"
# A loaded machine needs its time; what is awaited comes within a second or two.
PATIENCE_S = 60.0


class Office:
    """The platform, the venues it listens to, one browser, and sessions of the API."""

    def __init__(self, platform: Platform, venues: FakeExchanges, browser: Browser) -> None:
        self.platform, self.venues, self.browser = platform, venues, browser
        self.fault = Path(platform.environment["CORE_FAULT_FILE"])
        self._sessions: dict[str, httpx.Client] = {}

    def quote(self, **changed: Decimal) -> None:
        """Let every venue quote the usual prices but for what is given."""
        prices = {**PRICES, **changed}
        for name, pairs in VENUE_PAIR_IDS.items():
            for pair in pairs:
                price = prices.get(pair) or prices.get(pair.split("/")[0]) or Decimal(10)
                self.venues.set_price(name, pair, f"{price:f}")

    def api(self, username: str) -> httpx.Client:
        """Return a session of the API, the same one each time."""
        if username not in self._sessions:
            client = httpx.Client(base_url=self.platform.url, timeout=30)
            body = {"username": username, "password": PASSWORD}
            answer = client.post("/api/auth/login", json=body)
            assert answer.status_code == 200, answer.text
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            self._sessions[username] = client
        return self._sessions[username]

    def sent(self, username: str, path: str, **body: Any) -> httpx.Response:
        """Return the answer to a POST of a user."""
        return self.api(username).post(path, json=body)

    def log_in(self, role: str) -> list[str]:
        """Log the browser in anew; return the sections that the sidebar names."""
        browser = self.browser
        browser.call("Network.clearBrowserCookies")
        browser.messages.clear()
        browser.size(*DESKTOP)
        browser.prefer("light")
        self.open("")
        browser.type("[name=username]", f"staff_{role}")
        browser.type("[name=password]", PASSWORD)
        browser.key("Enter")
        browser.wait("location.pathname === '/admin/' && document.readyState === 'complete'")
        found = browser.ask(
            "[...document.querySelectorAll('#nav-sidebar-apps a')].map(a => a.href)"
        )
        return [str(address) for address in found]

    def open(self, path: str) -> None:
        """Go to a page of the back-office."""
        self.browser.open(f"{self.platform.url}/admin/{path}")

    def follow(self, words: str) -> None:
        """Go where the first link leads whose address has these words."""
        address = self.browser.ask(
            f"[...document.querySelectorAll('a')].map(a => a.href).find(a => a.includes('{words}'))"
        )
        assert address, words
        self.browser.open(str(address))

    def carry_out(self, reason: str) -> str:
        """Fill in and confirm the operation whose form is shown; return what became of it."""
        browser = self.browser
        browser.type("[name=reason]", reason)
        browser.click("#operation-form button[type=submit]")
        browser.wait("document.querySelector('#operation-confirm')")
        browser.click("#operation-confirm button[type=submit]")
        browser.wait(
            "!document.querySelector('#operation-confirm') && document.readyState === 'complete'"
            " && document.querySelector('#operation-result, #operation-form')"
        )
        return browser.text("#content-main, #content")

    def audited(self, action: str) -> list[tuple[str, str, str]]:
        """Return actor, reason and result of the events of an action, oldest first."""
        found = self.api("staff_auditor").get("/api/admin/audit-logs?limit=100")
        assert found.status_code == 200, found.text
        return [
            (event["actor"], event["reason"], event["after"]["result"])
            for event in reversed(found.json()["items"])
            if event["action"] == action
        ]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One platform and one browser for all tests, with a member of staff of each role."""
    find_chromium()
    directory = tmp_path_factory.mktemp("office")
    with FakeExchanges() as venues, Browser() as browser:
        platform = Platform(directory)
        platform.environment.update(
            {
                "FEED_MODE": "live",
                **{f"{name.upper()}_URL": venues.url(name) for name in VENUE_PAIR_IDS},
                "CORE_FAULT_FILE": str(directory / "fault"),
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(CORE_FAULT), os.environ.get("PYTHONPATH")))
                ),
            }
        )
        office = Office(platform, venues, browser)
        office.quote()
        platform.start()
        try:
            made = platform.manage("shell", "-c", MAKE_STAFF.format(roles=STAFF, password=PASSWORD))
            assert made.returncode == 0, made.stderr
            yield office
        finally:
            platform.stop(signal.SIGTERM)


def test_every_section_is_drawn_without_an_error(office: Office) -> None:
    browser = office.browser
    sections = office.log_in("admin")

    assert len(sections) > 30
    # The theme looks at the scheme when a page is loaded: every second page is a dark one.
    for number, address in enumerate(sections):
        browser.prefer("dark" if number % 2 else "light")
        browser.open(address)
        for size in (DESKTOP, PHONE):
            browser.size(*size)

            assert browser.text("h1"), address
            # Console errors, failed loads and violations of the page's policy alike.
            assert browser.messages == [], address
            width = browser.ask("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, (address, size)
        browser.size(*DESKTOP)


def test_a_users_tabs_are_drawn_and_lead_to_each_other(office: Office) -> None:
    browser = office.browser
    office.log_in("auditor")
    office.open("accounts/user/?q=alice")
    browser.click("#result_list tbody th a")
    browser.wait("document.querySelector('#tabs-wrapper a[href*=\"/tab/wallets/\"]')")
    tabs = browser.ask("[...document.querySelectorAll('#tabs-wrapper a')].map(a => a.href)")

    assert len(tabs) >= 14
    for address in tabs:
        browser.open(address)
        assert browser.messages == [], address
        assert browser.ask("document.querySelector('#tabs-wrapper a.active').href") == address


def sources_seen(office: Office, until: Callable[[dict[str, str]], bool]) -> dict[str, Any]:
    """Return the index of BTC-USDT on /ws/admin once its sources, by name, are as awaited."""
    token = office.api("staff_risk_manager").headers["Authorization"].removeprefix("Bearer ")
    found: dict[str, Any] = {}

    def come(socket: Any) -> bool:
        frame = json.loads(socket.recv(timeout=PATIENCE_S))
        if frame.get("channel") != "feeds" or "data" not in frame:
            return False
        for index in frame["data"]["indexes"]:
            if index["symbol"] == "BTC-USDT":
                found.update(index)
                return until({s["source"]: s["reason"] or s["status"] for s in index["sources"]})
        return False

    with connect(f"ws://127.0.0.1:{office.platform.port}/ws/admin") as socket:
        socket.send(json.dumps({"op": "auth", "id": 1, "token": token}))
        socket.send(json.dumps({"op": "subscribe", "id": 2, "channels": ["feeds"]}))
        wait_until(lambda: come(socket), PATIENCE_S, f"sources: {found}")
    return found


def index_price(office: Office, symbol: str = "BTC-USDT") -> Decimal:
    ticker = httpx.get(f"{office.platform.url}/api/markets/{symbol}/ticker", timeout=30).json()
    return Decimal(ticker["index_price"])


def test_prices_go_on_without_a_source_that_is_switched_off(office: Office) -> None:
    office.log_in("risk_manager")
    sources_seen(office, lambda sources: set(sources.values()) == {"ok"})

    office.open("sections/price-sources/")
    office.follow("price-source-off/kraken")
    told = office.carry_out("the venue announced maintenance")
    index = sources_seen(office, lambda sources: sources["kraken"] == "SWITCHED_OFF")
    # What it says from now on is nonsense, and the others move on.
    office.quote(BTC=Decimal(60_300))
    for pair in VENUE_PAIR_IDS["kraken"]:
        office.venues.set_price("kraken", pair, "1")
    wait_until(lambda: index_price(office) == 60_300, PATIENCE_S, "the index does not move")
    office.open("sections/price-sources/")
    shown = office.browser.text("#content-main")
    office.quote()
    office.follow("price-source-on/kraken")
    office.carry_out("the venue is back")
    again = sources_seen(office, lambda sources: sources["kraken"] == "ok")

    assert "Done." in told
    assert (index["state"], again["state"]) == ("live", "live")
    assert "switched off" in shown
    assert "2 of 3" in shown
    who = "staff_risk_manager"
    assert office.audited("price_source.off") == [(who, "the venue announced maintenance", "OK")]
    assert office.audited("price_source.on") == [(who, "the venue is back", "OK")]
    assert office.browser.messages == []


def test_a_user_is_paid_out_by_an_operator(office: Office) -> None:
    body = {"currency": "USDT", "amount": "100", "address": DEMO_ADDRESS}
    asked = office.sent("alice", "/api/wallet/withdrawals", **body, client_withdrawal_id="story")
    assert asked.status_code == 201, asked.text
    number = asked.json()["id"]
    office.log_in("operator")

    office.open("wallets/withdrawal/?state=requested")
    office.follow(f"withdrawal/{number}")
    office.browser.wait("document.querySelector('a[href*=withdrawal-approve]')")
    office.follow("withdrawal-approve")
    approved = office.carry_out("known customer")
    office.open(f"operations/withdrawal-sent/{number}")
    office.browser.type("[name=transaction_id]", "0x5c504ed4")
    sent = office.carry_out("paid from the hot wallet")

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = office.api("alice").get(f"/api/wallet/withdrawals/{number}").json()
        return found

    wait_until(lambda: shown()["settled_at"] is not None, PATIENCE_S, "it is never settled")
    late = office.api("alice").delete(f"/api/wallet/withdrawals/{number}")
    office.open("sections/deposits/")

    assert "Done." in approved
    assert "Done." in sent
    assert (shown()["status"], shown()["transaction_id"]) == ("sent", "0x5c504ed4")
    assert late.json()["error"]["code"] == "WITHDRAWAL_STATE"
    assert f"withdrawal {number}" in office.browser.text("#content-main")
    who = "staff_operator"
    assert office.audited("withdrawal.approve") == [(who, "known customer", "OK")]
    assert office.audited("withdrawal.sent") == [(who, "paid from the hot wallet", "OK")]
    assert office.browser.messages == []


def test_a_command_that_the_core_fails_at_waits_for_an_operator(office: Office) -> None:
    order = {"symbol": "ETH-USDT", "side": "buy", "type": "limit", "quantity": "0.1"}
    office.log_in("operator")
    office.fault.touch()

    failed = office.sent(
        "alice", "/api/orders", **order, price="2000", client_order_id="fault-at-the-core"
    )
    halted = office.sent("alice", "/api/orders", **order, price="2000")
    elsewhere = office.sent("alice", "/api/orders", **{**order, "symbol": "ETH-BTC"}, price="0.04")
    office.open("sections/status/")
    status = office.browser.text("#content-main")

    def release(reason: str) -> str:
        office.open("exchange/quarantine/")
        office.browser.click("#result_list tbody tr:first-child th a")
        office.browser.wait("document.querySelector('a[href*=quarantine-release]')")
        office.follow("quarantine-release")
        return office.carry_out(reason)

    def resume() -> None:
        office.open("operations/market-resume/ETH-USDT")
        office.carry_out("the cause is known")

    office.fault.unlink()
    while_halted = release("too early")
    office.fault.touch()
    resume()
    at_fault = release("not mended yet")
    office.fault.unlink()
    resume()
    mended = release("mended")
    office.open("exchange/quarantine/")
    rows = office.browser.ask(
        "[...document.querySelectorAll('#result_list tbody tr')].map(row => row.innerText)"
    )

    assert failed.json()["error"]["code"] == "QUARANTINED"
    assert halted.json()["error"]["code"] == "MARKET_HALTED"
    assert elsewhere.status_code == 201, elsewhere.text
    assert "wait for a decision: 1." in status
    assert "MARKET_HALTED" in while_halted
    assert "QUARANTINED" in at_fault
    assert "Done." in mended
    assert [row.count("RELEASED") + row.count("released") for row in rows] == [1, 1]
    found = office.api("alice").get("/api/orders/by-client-id/fault-at-the-core").json()
    assert (found["status"], found["price"]) == ("open", "2000.00")
    assert [(reason, result) for _, reason, result in office.audited("quarantine.release")] == [
        ("too early", "MARKET_HALTED"),
        ("not mended yet", "QUARANTINED"),
        ("mended", "OK"),
    ]
    assert office.browser.messages == []


def test_a_liquidation_comes_to_a_dashboard_that_is_open(office: Office) -> None:
    browser, terms = office.browser, {"symbol": PERPETUAL, "quantity": "0.1"}
    for trader in ("alice", "bob"):
        answer = office.api(trader).put(
            f"/api/positions/settings/{PERPETUAL}", json={"leverage": 100}
        )
        assert answer.status_code == 200, answer.text
    maker = {**terms, "side": "sell", "type": "limit", "price": "60000"}
    assert office.sent("bob", "/api/orders", **maker).status_code == 201
    taken = office.sent("alice", "/api/orders", **terms, side="buy", type="market")
    assert taken.json().get("status") == "filled", taken.text
    # All but a hundred USDT leave the margin wallet, so that a fall of two percent is the end.
    wallet = office.api("alice").get("/api/wallet/USDT").json()["balances"]
    (margin,) = (row for row in wallet if row["wallet"] == "margin")
    moved = {"currency": "USDT", "from_wallet": "margin", "to_wallet": "spot"}
    amount = str(Decimal(margin["total"]) - 100)
    left = office.sent("alice", "/api/wallet/transfer", **moved, amount=amount)
    assert left.status_code == 201, left.text
    office.log_in("risk_manager")
    near = "document.querySelector('#near').innerText"
    browser.wait(f"{near}.includes('alice')", PATIENCE_S)
    before = browser.text("#liquidations")
    browser.ask("window.neverReloaded = true")

    office.quote(BTC=Decimal(58_900))
    browser.wait(
        f"document.querySelector('#liquidations').innerText.includes('{PERPETUAL}')", PATIENCE_S
    )
    browser.wait(f"!{near}.includes('alice')", PATIENCE_S)
    office.quote()

    assert "Nobody was liquidated." in before
    assert browser.ask("window.neverReloaded") is True
    assert office.api("alice").get("/api/positions").json()["positions"] == []
    assert browser.messages == []
