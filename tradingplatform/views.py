"""Pages for people: the front page and the guides."""

from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt

from markets.enums import INTERVAL_NAMES, FeedMode
from markets.feeds.mode import feed_chosen
from markets.feeds.recorded import REPLAY_NOTE
from markets.feeds.service import LIVE_NOTE
from markets.selectors import MarketNotFound, market_by_symbol, markets_all

DOCUMENTS = Path(settings.BASE_DIR, "docs")


@require_safe
def front_page(request: HttpRequest) -> HttpResponse:
    """Show what runs: markets with live prices, and where everything is."""
    context = {
        "markets": [
            {"symbol": market.symbol, "base": market.base, "quote": market.quote}
            for market in markets_all()
        ],
        "feed": _feed(),
        "admin_path": settings.ADMIN_PATH,
    }
    return render(request, "front_page.html", context)


@require_safe
def market_page(request: HttpRequest, symbol: str) -> HttpResponse:
    """Show one market: candles, book, trades and, after a login there, orders and balances."""
    try:
        market = market_by_symbol(symbol)
    except MarketNotFound as error:
        raise Http404 from error
    if symbol != market.symbol:
        return redirect("market-page", symbol=market.symbol)
    context = {
        "market": market,
        "kind": market.kind.name.lower(),
        "markets": markets_all(),
        "tick": market.price_text(market.tick_atoms),
        "lot": market.quantity_text(market.lot_atoms),
        "intervals": list(INTERVAL_NAMES),
    }
    return render(request, "market.html", context)


def _feed() -> dict[str, str] | None:
    """Return what the prices are, in words; None before that is decided."""
    chosen = feed_chosen()
    if chosen is None:
        return None
    if chosen.mode is FeedMode.LIVE:
        return {"state": "ok", "text": LIVE_NOTE}
    return {"state": "replay", "text": REPLAY_NOTE}


@cache
def guides() -> dict[str, Path]:
    """Return the documents that are shown as pages, by address: ``websocket``, ``adr/0001-...``."""
    return {
        path.relative_to(DOCUMENTS).with_suffix("").as_posix().lower(): path
        for path in sorted(DOCUMENTS.rglob("*.md"))
    }


@require_safe
def guide(request: HttpRequest, name: str) -> HttpResponse:
    """Show a document of docs/ as a page; links between documents end in ``.md``."""
    path = guides().get(name.lower().removesuffix(".md"))
    if path is None:
        raise Http404
    text = path.read_text(encoding="utf-8")
    # Raw HTML inside the text is shown as text.
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    title = text.partition("\n")[0].lstrip("# ")
    return render(request, "guide.html", {"title": title, "html": html})
