"""The market page under a hand: prices and book move, orders are placed, filled and cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from tests.support.browser import Browser, find_chromium
from tests.support.platform import PASSWORD, Platform, wait_until
from tradingclient import AsyncTradingClient, Password, RestClient

SYMBOL = "BTC-USDT"
LOST_LINE = ("ERR_CONNECTION", "WebSocket connection")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform with a market that nobody else trades in."""
    find_chromium()
    platform = Platform(tmp_path_factory.mktemp("page"))
    platform.start()
    yield platform
    platform.stop(signal.SIGTERM)


@pytest.fixture(scope="module")
def bob(platform: Platform) -> Iterator[RestClient]:
    """The other side of every trade."""
    with RestClient(platform.url, credentials=Password("bob", PASSWORD)) as client:
        yield client


@pytest.fixture(scope="module")
def reference(bob: RestClient) -> Decimal:
    """A price around which to trade, in whole units."""
    price = bob.ticker(SYMBOL).index_price
    assert price is not None
    return Decimal(int(price))


@pytest.fixture(scope="module")
def page(platform: Platform, bob: RestClient, reference: Decimal) -> Iterator[Browser]:
    """The page with two levels in the book; tests go on where the one before stopped."""
    for side, distance in (("buy", -10), ("sell", 10)):
        place(bob, side, reference + distance, "1")
    with Browser() as browser:
        browser.size(1280, 860)
        browser.open(f"{platform.url}/markets/{SYMBOL}")
        yield browser


def place(client: RestClient, side: str, price: Decimal, quantity: str) -> str:
    order = client.place_order(
        symbol=SYMBOL, side=side, type="limit", price=price, quantity=quantity
    )
    return order.id


def shown(price: Decimal) -> str:
    return f"{price:,.2f}"


def level(side: str, price: Decimal, quantity: str) -> str:
    """Return the expression that a level is shown."""
    return (
        f"[...document.querySelectorAll('#{side} tr')].some(row =>"
        f" row.cells[0].textContent === '{shown(price)}'"
        f" && row.cells[1].textContent === '{quantity}')"
    )


def said(text: str) -> str:
    return f"document.querySelector('#ticket [data-role=message]').textContent.includes('{text}')"


def test_the_front_page_leads_here_with_live_figures(platform: Platform, page: Browser) -> None:
    page.open(platform.url)
    page.wait("document.querySelector('#connection').textContent === 'live'")
    page.wait("document.querySelectorAll('#bids tr').length === 1")
    page.click("tr[data-symbol='ETH-USDT'] button")
    page.wait("document.querySelector('#bids').children.length === 0")
    page.click(f"tr[data-symbol='{SYMBOL}'] button")
    page.wait("document.querySelectorAll('#bids tr').length === 1")

    page.click("#open-market")

    page.wait(f"location.pathname === '/markets/{SYMBOL}'")
    page.wait("document.querySelector('#bids td') !== null")


def log_in(page: Browser) -> None:
    page.type("#login [name=username]", "alice")
    page.type("#login [name=password]", PASSWORD)
    page.key("Enter")
    page.wait("document.body.classList.contains('logged-in')")
    page.wait("document.querySelectorAll('#balances tr').length >= 2")


def fill_in(page: Browser, **fields: str) -> None:
    for name, value in fields.items():
        page.type(f"#ticket [name={name}]", value)


def test_a_visitor_sees_candles_book_and_a_price_that_moves(
    page: Browser, reference: Decimal
) -> None:
    page.wait(level("bids", reference - 10, "1.00000"))
    page.wait(level("asks", reference + 10, "1.00000"))
    page.wait("document.querySelector('#spread').textContent.startsWith('spread 20.00')")
    page.wait("document.querySelector('#chart canvas')")
    before = page.text("#index")
    page.wait(f"document.querySelector('#index').textContent !== {before!r}")
    assert page.text("#connection") == "Live"
    assert not page.ask("getComputedStyle(document.querySelector('#ticket')).display !== 'none'")


def test_the_book_follows(page: Browser, bob: RestClient, reference: Decimal) -> None:
    number = place(bob, "buy", reference - 5, "0.25")
    page.wait(level("bids", reference - 5, "0.25000"))

    bob.cancel_order(number)

    page.wait(f"!({level('bids', reference - 5, '0.25000')})")


def test_a_wrong_password_is_told(page: Browser) -> None:
    page.type("#login [name=username]", "alice")
    page.type("#login [name=password]", "wrong password")
    page.key("Enter")

    page.wait("document.querySelector('#login').textContent.includes('INVALID_CREDENTIALS')")
    page.messages.clear()  # The browser itself logs every 401.


def test_an_order_rests_is_seen_and_is_cancelled(page: Browser, reference: Decimal) -> None:
    log_in(page)
    fill_in(page, price=str(reference - 7), quantity="0.5")
    page.key("Enter")

    page.wait(said("Order is in the book"))
    page.wait("document.querySelectorAll('#orders tr').length === 1")
    page.wait(level("bids", reference - 7, "0.50000"))
    assert shown(reference - 7) in page.text("#orders")

    page.click("#orders button")
    page.wait("document.querySelectorAll('#orders tr').length === 0")
    page.wait(f"!({level('bids', reference - 7, '0.50000')})")


def test_an_order_fills_and_everything_shows_it(
    page: Browser, bob: RestClient, reference: Decimal
) -> None:
    before = page.ask("document.querySelector('#balances').textContent")
    page.click("#asks tr:last-child")
    assert (
        page.ask("document.querySelector('#ticket [name=price]').value") == f"{reference + 10}.00"
    )
    fill_in(page, quantity="0.1")
    page.wait(
        "document.querySelector('[data-role=preview]').textContent.startsWith('Would fill 0.1 BTC')"
    )
    page.key("Enter")

    page.wait(said(f"Bought 0.1 BTC at {shown(reference + 10)}"))
    page.wait(level("asks", reference + 10, "0.90000"))
    page.wait(f"document.querySelector('#trades').textContent.includes('{shown(reference + 10)}')")
    page.wait(f"document.querySelector('#last').textContent === '{shown(reference + 10)}'")
    page.wait(f"document.querySelector('#balances').textContent !== {before!r}")
    page.wait("!document.querySelector('#announcement').hidden")
    fill = bob.fills(SYMBOL, limit=1).items[0]
    assert (fill.quantity, fill.role) == (Decimal("0.1"), "maker")


def test_a_market_order_by_keyboard_alone(page: Browser, reference: Decimal) -> None:
    page.choose("#ticket [name=type]", "market")
    page.ask("document.activeElement.blur()")
    page.key("s")
    page.wait("document.activeElement.name === 'quantity'")
    assert page.text("#ticket button.main") == "Sell BTC"
    page.ask("document.activeElement.value = ''")
    page.key("ArrowUp", shift=True)
    assert page.ask("document.activeElement.value") == "0.00010"
    page.call("Input.insertText", text="")
    fill_in(page, quantity="0.2")
    page.key("Enter")

    page.wait(said(f"Sold 0.2 BTC at {shown(reference - 10)}"))


def test_a_stop_order_waits(page: Browser, reference: Decimal) -> None:
    page.choose("#ticket [name=type]", "stop_loss")
    fill_in(page, trigger_price=str(reference - 5_000), quantity="0.1")
    page.key("Enter")

    page.wait(said("waits for its trigger"))
    page.wait("document.querySelector('#orders').textContent.includes('untriggered')")
    page.click("#cancel-all")
    page.wait("document.querySelectorAll('#orders tr').length === 0")


@pytest.mark.parametrize("by", ["mouse", "key"])
def test_a_button_that_is_pressed_stays_while_orders_change(
    page: Browser, bob: RestClient, reference: Decimal, by: str
) -> None:
    page.choose("#ticket [name=type]", "limit")
    page.click("#ticket .buy span")
    fill_in(page, price=str(reference - 7), quantity="0.5")
    page.key("Enter")
    page.wait("document.querySelectorAll('#orders tr').length === 1")

    if by == "mouse":
        page.press("#orders button")
    else:
        page.ask("document.querySelector('#orders button').focus()")
        page.hold_key(" ")
    place(bob, "sell", reference - 7, "0.1")
    page.wait(level("bids", reference - 7, "0.40000"))
    page.wait("document.querySelector('#balances').textContent.includes('BTC')")
    page.release() if by == "mouse" else page.let_key_go(" ")

    page.wait("document.querySelectorAll('#orders tr').length === 0")


@pytest.mark.parametrize(
    ("price", "quantity", "words"),
    [
        ("", "1", "price is needed"),
        ("1e5", "1", "price must be a number"),
        ("100", "100000", "QUANTITY_TOO_LARGE"),
        ("50000", "400", "INSUFFICIENT_BALANCE"),
        ("50000.001", "1", "TICK_SIZE"),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(
    page: Browser, price: str, quantity: str, words: str
) -> None:
    page.choose("#ticket [name=type]", "limit")
    page.click("#ticket .buy span")
    balances = page.text("#balances")
    fill_in(page, price=price, quantity=quantity)
    page.key("Enter")

    page.wait(said(words))
    assert page.text("#balances") == balances
    assert page.ask("document.querySelectorAll('#orders tr').length") == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (768, 1024), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_its_text_can_be_read(
    page: Browser, width: int, height: int, scheme: str
) -> None:
    page.size(width, height)
    page.prefer(scheme)

    page.wait("document.documentElement.scrollWidth <= window.innerWidth")
    panel = page.ask("getComputedStyle(document.querySelector('.panel')).backgroundColor")
    assert panel == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 30, 41)"}[scheme]
    page.wait(
        "document.querySelector('#chart canvas').getBoundingClientRect().right <= window.innerWidth"
    )


def test_nothing_was_refused_by_the_content_policy(page: Browser) -> None:
    assert page.messages == []


def kill(platform: Platform, name: str) -> int:
    pid = platform.child(name).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def book_follows(page: Browser, bob: RestClient, price: Decimal) -> None:
    number = place(bob, "buy", price, "0.125")
    page.wait(level("bids", price, "0.12500"), 60)
    bob.cancel_order(number)
    page.wait(f"!({level('bids', price, '0.12500')})")


def test_it_says_that_it_is_cut_off_and_comes_back_by_itself(
    page: Browser, platform: Platform, bob: RestClient, reference: Decimal
) -> None:
    page.size(1280, 860)

    kill(platform, "web")

    page.wait("!document.querySelector('#banner').hidden")
    # Its two connections are lost one after the other.
    page.wait("document.querySelector('#market').dataset.stale === 'true'")
    page.wait("document.querySelector('#banner').hidden", 60)
    book_follows(page, bob, reference - 3)
    page.wait("document.querySelectorAll('#balances tr').length >= 2")
    assert [text for text in page.messages if not any(word in text for word in LOST_LINE)] == []


async def test_the_sdk_comes_back_too_and_misses_nothing(
    platform: Platform, reference: Decimal
) -> None:
    user = Password("bob", PASSWORD)
    updates: list[str] = []
    snapshots: list[object] = []
    async with AsyncTradingClient(platform.url, credentials=user) as client:
        client.on("order:update", lambda order: updates.append(f"{order.id} {order.status}"))
        client.on("account:snapshot", snapshots.append)
        account = await client.subscribe_user_streams()
        book = await client.order_book(SYMBOL)
        kill(platform, "web")
        await until(lambda: not account.is_live and not book.is_live)

        await client.connection("user").ready(60)
        placed = await client.trading.place_order(
            symbol=SYMBOL, side="buy", type="limit", price=reference - 6, quantity="0.1"
        )

        await until(lambda: account.is_live and placed.id in account.orders)
        await until(lambda: book.is_live and book.bids.get(reference - 6) == Decimal("0.1"))
        await client.trading.cancel_order(placed.id)
        await until(lambda: account.is_live and placed.id not in account.orders)
        # A new epoch on a slow machine brings a snapshot, in which an end has no update.
        story = [f"{placed.id} open", f"{placed.id} cancelled"]
        await until(lambda: updates == story or (len(snapshots) > 1 and updates == story[:1]))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.02)


def test_it_is_not_live_before_it_knows_what_it_missed(
    page: Browser, platform: Platform, bob: RestClient, reference: Decimal
) -> None:
    projector = platform.child("projector").pid
    assert projector is not None
    os.kill(projector, signal.SIGSTOP)
    try:
        kill(platform, "web")
        page.wait("!document.querySelector('#banner').hidden")
        # Prices come from what was published last, one's own orders from the projector alone.
        page.wait("document.querySelector('#market').dataset.stale === 'false'", 60)
        assert not page.ask("document.querySelector('#banner').hidden")
    finally:
        os.kill(projector, signal.SIGCONT)

    page.wait("document.querySelector('#banner').hidden", 60)
    book_follows(page, bob, reference - 2)


def test_it_begins_anew_in_a_new_epoch(
    page: Browser, platform: Platform, bob: RestClient, reference: Decimal
) -> None:
    pid = kill(platform, "projector")

    wait_until(lambda: platform.child("projector").pid not in (None, pid), 60, "no projector")
    book_follows(page, bob, reference - 4)
    page.wait(level("bids", reference - 10, "0.80000"))


def test_a_logged_out_user_sees_no_orders(page: Browser) -> None:
    page.click("#logout")

    page.wait("!document.body.classList.contains('logged-in')")
    page.wait("document.querySelectorAll('#balances tr').length === 0")
