"""Markets in the back-office: seen by staff, opened and halted by command."""

import pytest
import redis as redis_module
from django.test import Client

from accounts.enums import Role
from accounts.models import User
from exchange.core.units import ATOMS
from markets.candle_store import recorded_minutes_store
from markets.candles import Bar
from markets.enums import CandleSource, FeedMode, PriceState
from markets.feeds.engine import IndexView
from markets.feeds.mode import feed_choose
from markets.feeds.service import FeedService
from markets.seed import market_seed
from tests.support.exchange import ExchangeHarness

pytestmark = pytest.mark.django_db

PATHS = ["asset", "market", "indexprice", "candle", "feedstate"]


class OneView:
    def views(self, now_ms: int) -> list[IndexView]:
        return [IndexView("BTC-USDT", 61_000 * ATOMS, PriceState.LIVE, ())]


def browser(role: Role) -> Client:
    user = User(username=f"staff_{role}", email=f"{role}@example.com", role=role)
    user.set_password("correct horse battery")
    user.save()
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def office(inline_exchange: ExchangeHarness, live_redis: redis_module.Redis) -> Client:
    chosen = feed_choose(configured="live", production=False)
    market_seed(chosen.mode)
    FeedService(OneView(), FeedMode.LIVE, streaming=True).turn(1_800_000_000_000)
    recorded_minutes_store(
        1, CandleSource.INDEX, [Bar.flat(1_800_000_000_000 // 60_000 * 60_000, 5)]
    )
    return browser(Role.OPERATOR)


class TestBackOffice:
    @pytest.mark.parametrize("path", PATHS)
    def test_rows_are_shown_and_cannot_be_changed(self, office: Client, path: str) -> None:
        answer = office.get(f"/admin/markets/{path}/")

        assert answer.status_code == 200
        assert office.get(f"/admin/markets/{path}/add/").status_code == 403
        assert office.post(f"/admin/markets/{path}/1/delete/", {"post": "yes"}).status_code in (
            302,
            403,
        )

    def test_index_prices_show_their_state(self, office: Client) -> None:
        page = office.get("/admin/markets/indexprice/").content.decode()

        assert "61000" in page
        assert "live" in page

    def test_the_market_page_offers_what_the_role_may_do(self, office: Client) -> None:
        mine = office.get("/admin/markets/market/1/change/").content.decode()
        theirs = browser(Role.SUPPORT).get("/admin/markets/market/1/change/").content.decode()

        assert "/admin/operations/market-halt/BTC-USDT" in mine
        # It is open already.
        assert "/admin/operations/market-resume/" not in mine
        # The sidebar leads to what they may do; nothing of it concerns a market.
        assert "/admin/operations/market-" not in theirs
