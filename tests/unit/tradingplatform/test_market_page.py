"""The content policy allows what the vendored charts do, and no more."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from django.conf import settings

STATIC = Path(settings.BASE_DIR, "tradingplatform", "static")
CHARTS = STATIC / "vendor" / "lightweight-charts"


def test_the_one_style_of_the_charts_is_allowed_by_its_hash() -> None:
    code = (CHARTS / "lightweight-charts.standalone.production.mjs").read_text(encoding="utf-8")
    styles = re.findall(r'createElement\("style"\),this\.\w+\.innerText="([^"]+)"', code)
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
        for style in styles
    ]

    allowed = settings.CONTENT_POLICY_BY_PREFIX["/markets/"]

    assert code.count('createElement("style")') == len(digests) == 1
    assert allowed == {"style-src": ["'self'", *digests]}


def test_the_page_holds_nothing_inline() -> None:
    page = Path(settings.BASE_DIR, "tradingplatform", "templates", "market.html").read_text()

    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=", page) == []


def test_vendored_code_comes_with_its_licence() -> None:
    version = re.search(r"lightweight-charts (\S+)", (CHARTS / "SOURCE.md").read_text())
    code = (CHARTS / "lightweight-charts.standalone.production.mjs").read_text(encoding="utf-8")

    assert version is not None
    assert f"v{version.group(1)}\n" in code[:200]
    assert "Apache License" in (CHARTS / "LICENSE").read_text()
    assert "TradingView" in (CHARTS / "NOTICE").read_text()
