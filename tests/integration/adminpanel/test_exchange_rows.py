"""The exchange's own rows are seen by those who may, and changed by nobody."""

import pytest
from django.test import Client

from accounts.models import User
from exchange.models import Batch, OperatorCommand
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

PATHS = ["logposition", "batch", "operatorcommand", "quarantine", "clientkey"]


@pytest.fixture
def office(exchange: ExchangeHarness, alice: Trader) -> Client:
    """A browser logged in as an admin, beside an exchange that did something."""
    alice.placed(side="sell", quantity="0.1")
    User.objects.filter(username="alice").update(role="admin")
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    return client


@pytest.mark.parametrize("path", PATHS)
def test_lists_are_shown_and_nothing_is_added(office: Client, path: str) -> None:
    assert office.get(f"/admin/exchange/{path}/").status_code == 200
    assert office.get(f"/admin/exchange/{path}/add/").status_code == 403


def test_a_batch_shows_its_commands_and_results(office: Client) -> None:
    key = Batch.objects.order_by("-id").values_list("id", flat=True)[0]

    page = office.get(f"/admin/exchange/batch/{key}/change/")

    assert page.status_code == 200
    assert "PlaceOrder" in page.content.decode()
    assert "OK" in page.content.decode()


def test_an_operators_command_says_who_and_why(office: Client) -> None:
    command = OperatorCommand.objects.filter(type="Credit").order_by("id")[0]

    page = office.get(f"/admin/exchange/operatorcommand/{command.id}/change/").content.decode()

    assert command.actor in page
    assert command.reason in page


@pytest.mark.parametrize("role", ["trader", "support"])
def test_others_do_not_see_them(office: Client, role: str) -> None:
    User.objects.filter(username="alice").update(role=role)

    assert office.get("/admin/exchange/batch/").status_code in {302, 403}
