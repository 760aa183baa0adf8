"""What two requests under one client id must share to be the same request."""

from exchange.core.commands import SpecialTerms
from exchange.core.enums import OrderType, Side, TriggerType
from orders.requests import order_meaning

VALUES = {"side": Side.SELL, "type": OrderType.STOP_LOSS, "quantity": 5}
PLAIN = [7, 2, 3, 2, 0, 5, 0, 0, 0, 0]


class TestMeaning:
    def test_terms_that_came_later_leave_older_requests_as_they_were(self) -> None:
        special = SpecialTerms(TriggerType.LAST, 49, reprice=False)

        assert order_meaning(7, VALUES, special) == [*PLAIN, 1, 49, 0, 0, 0, 0, 0, 0, 0]

    def test_and_tell_requests_apart_where_they_are_used(self) -> None:
        special = SpecialTerms(TriggerType.LAST, 49, price_protect=True)

        assert order_meaning(7, VALUES, special) == [*PLAIN, 1, 49, 0, 0, 0, 0, 0, 0, 0, 9]

    def test_a_plain_order_has_none(self) -> None:
        assert order_meaning(7, VALUES, None) == PLAIN
        assert order_meaning(7, VALUES, SpecialTerms()) == PLAIN
