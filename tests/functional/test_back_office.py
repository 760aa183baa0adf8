"""The back-office in a browser: every section, as each role, without an error in the console."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, find_chromium
from tests.support.platform import PASSWORD, Platform

ROLES = ("support", "risk_manager", "operator", "auditor", "admin")
# What a role never sees, beside what everybody else of the staff does.
HIDDEN = {
    "support": ("sections/status/", "sections/jobs/", "exchange/batch/", "accounts/auditevent/"),
    "risk_manager": ("accounts/auditevent/",),
    "operator": ("accounts/auditevent/",),
    "auditor": (),
    "admin": (),
}
MAKE_STAFF = """
from accounts.services import user_create
for role in {roles!r}:
    name = "staff_" + role
    user_create(username=name, email=name + "@example.com", password={password!r}, role=role)
"""
# The look of everything but the width of a phone.
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform with one member of staff of each role."""
    find_chromium()
    platform = Platform(tmp_path_factory.mktemp("office"))
    platform.start()
    try:
        made = platform.manage("shell", "-c", MAKE_STAFF.format(roles=ROLES, password=PASSWORD))
        assert made.returncode == 0, made.stderr
        yield platform
    finally:
        platform.stop(signal.SIGTERM)


def log_in(platform: Platform, browser: Browser, role: str) -> list[str]:
    """Log in and return the sections that the sidebar names."""
    browser.open(f"{platform.url}/admin/")
    browser.type("[name=username]", f"staff_{role}")
    browser.type("[name=password]", PASSWORD)
    browser.key("Enter")
    browser.wait("location.pathname === '/admin/' && document.readyState === 'complete'")
    found = browser.ask("[...document.querySelectorAll('#nav-sidebar-apps a')].map(a => a.href)")
    return [str(address) for address in found]


def statuses(browser: Browser, addresses: list[str]) -> list[int]:
    asked = json.dumps(addresses)
    found = browser.ask(f"Promise.all({asked}.map(a => fetch(a).then(r => r.status)))")
    return [int(status) for status in found]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_what_it_sees_and_nothing_else(platform: Platform, role: str) -> None:
    hidden = [f"{platform.url}/admin/{path}" for path in HIDDEN[role]]
    with Browser() as browser:
        browser.size(*DESKTOP)
        sections = log_in(platform, browser, role)

        assert len(sections) > 15
        assert statuses(browser, sections) == [200] * len(sections)
        assert browser.messages == []
        assert not set(hidden) & set(sections)
        assert statuses(browser, hidden) == [403] * len(hidden)


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)], ids=["light", "dark-phone"]
)
def test_every_section_is_drawn_without_an_error(
    platform: Platform, scheme: str, size: tuple[int, int]
) -> None:
    with Browser() as browser:
        browser.size(*DESKTOP)
        sections = log_in(platform, browser, "admin")
        browser.size(*size)
        browser.prefer(scheme)

        assert len(sections) > 30
        for address in sections:
            browser.open(address)

            assert browser.text("h1"), address
            # Console errors, failed loads and violations of the page's policy alike.
            assert browser.messages == [], address
            width = browser.ask("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, address


def test_a_users_tabs_are_drawn_and_lead_to_each_other(platform: Platform) -> None:
    with Browser() as browser:
        browser.size(*DESKTOP)
        log_in(platform, browser, "auditor")
        browser.open(f"{platform.url}/admin/accounts/user/?q=alice")
        browser.click("#result_list tbody th a")
        browser.wait("document.querySelector('#tabs-wrapper a[href*=\"/tab/wallets/\"]')")
        tabs = browser.ask("[...document.querySelectorAll('#tabs-wrapper a')].map(a => a.href)")

        assert len(tabs) >= 14
        for address in tabs:
            browser.open(address)
            assert browser.messages == [], address
            assert browser.ask("document.querySelector('#tabs-wrapper a.active').href") == address
