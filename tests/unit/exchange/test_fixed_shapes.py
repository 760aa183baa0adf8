"""What is fixed because changing it later means migrating money."""

import msgspec
import pytest

from exchange.core import commands, enums, events, rejects, state
from exchange.core.engine import HANDLERS
from exchange.core.enums import Lane

PLACE = [
    "account_id", "market_id", "side", "order_type", "time_in_force", "price_atoms",
    "quantity_atoms", "quote_quantity_atoms", "post_only", "client_order_id", "request_hash",
    "slippage_rate_e8", "self_trade_mode",
]  # fmt: skip
ENVELOPE = [
    "version", "number", "time_ms", "command_id", "lane", "command", "finding", "request_id",
]  # fmt: skip
OUTCOME = ["code", "reference_id", "events", "repeated", "detail"]


class TestEnvelopes:
    @pytest.mark.parametrize(
        ("struct", "fields"),
        [
            (commands.PlaceOrder, PLACE),
            (commands.Envelope, ENVELOPE),
            (events.Outcome, OUTCOME),
        ],
    )
    def test_fields_are_only_ever_appended(
        self, struct: type[msgspec.Struct], fields: list[str]
    ) -> None:
        assert list(struct.__struct_fields__)[: len(fields)] == fields

    def test_versions(self) -> None:
        assert (commands.VERSION, events.VERSION) == (1, 1)

    def test_encoding_of_a_logged_command(self) -> None:
        envelope = commands.Envelope(
            1, 7, 1000, "id", Lane.ORDERS, commands.CancelOrder(5, 6), None, "r"
        )

        raw = msgspec.msgpack.encode(envelope)

        assert msgspec.msgpack.decode(raw) == [
            1, 7, 1000, "id", 2, ["CancelOrder", 5, 6, "", False], None, "r",
        ]  # fmt: skip

    def test_every_command_has_a_handler(self) -> None:
        assert set(HANDLERS) == set(commands.Command.__subclasses__())


class TestNumbers:
    def test_stored_enums_keep_their_numbers(self) -> None:
        assert {name: int(value) for name, value in enums.WalletKind.__members__.items()} == {
            "SPOT": 1,
            "MARGIN": 2,
            "ISOLATED": 3,
        }
        assert {name: int(value) for name, value in enums.PositionSide.__members__.items()} == {
            "NET": 1,
            "LONG": 2,
            "SHORT": 3,
        }
        assert {name: int(value) for name, value in enums.Lane.__members__.items()} == {
            "SYSTEM": 1,
            "ORDERS": 2,
            "INTERNAL": 3,
        }

    def test_every_code_has_a_message_and_a_status(self) -> None:
        assert set(rejects.MESSAGES) == set(rejects.Code)
        assert {rejects.http_status(code) for code in rejects.Code} <= {
            200,
            404,
            409,
            422,
            500,
            503,
        }

    def test_wallet_key_and_position_key(self) -> None:
        assert {"account_id", "kind", "asset_id"} <= set(state.Wallet.__struct_fields__)

    def test_every_field_is_persisted_or_declared_derived(self) -> None:
        for name, derived in state.DERIVED.items():
            assert derived <= set(getattr(state, name).__struct_fields__)
