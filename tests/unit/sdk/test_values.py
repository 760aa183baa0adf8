"""Money is never a float, errors know their family, keys sign what is sent."""

from __future__ import annotations

import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from common.error_catalog import catalog
from tradingclient import calls, errors
from tradingclient.backoff import Backoff
from tradingclient.credentials import Password, Session, Token
from tradingclient.models import Tokens
from tradingclient.money import amount_text

ROOT = Path(__file__).resolve().parents[3]
SDK = ROOT / "sdk"


class TestAmounts:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (Decimal("0.00000001"), "0.00000001"),
            (Decimal("1E+3"), "1000"),
            (Decimal("0.10"), "0.1"),
            (Decimal(100), "100"),
            (7, "7"),
            ("1.50", "1.50"),
        ],
    )
    def test_are_plain_digits(self, value: object, text: str) -> None:
        assert amount_text(value) == text  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", [0.1, True, None, 1j])
    def test_of_another_type_are_refused(self, value: object) -> None:
        with pytest.raises(TypeError, match="expected a Decimal, str or int"):
            amount_text(value)  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", ["NaN", "Infinity"])
    def test_must_be_finite(self, value: str) -> None:
        with pytest.raises(ValueError, match="finite"):
            amount_text(Decimal(value))

    def test_are_looked_for_in_legs_too(self) -> None:
        body = calls.plain(
            {"quantity": Decimal("0.10"), "entry": {"price": 5, "type": "limit"}, "reprice": None}
        )

        assert body == {"quantity": "0.1", "entry": {"price": "5", "type": "limit"}}

    def test_as_floats_in_legs_are_refused(self) -> None:
        with pytest.raises(TypeError):
            calls.plain({"entry": {"price": 0.5}})


class TestErrors:
    FAMILIES = {
        401: errors.AuthenticationError,
        403: errors.PermissionDeniedError,
        404: errors.NotFoundError,
        408: errors.UnavailableError,
        409: errors.ConflictError,
        422: errors.RefusedError,
        429: errors.RateLimitedError,
        500: errors.UnavailableError,
        503: errors.UnavailableError,
        504: errors.StatusUnknownError,
    }

    def test_every_code_of_the_platform_has_a_family(self) -> None:
        for entry in catalog():
            if entry.group == "field":
                continue
            family = errors.family_of(entry.code, entry.http_status)
            if entry.http_status:
                expected = self.FAMILIES.get(entry.http_status, errors.InvalidRequestError)
                assert family is expected, entry
            else:
                assert entry.group == "socket", entry
                assert family is not errors.StreamError, entry

    def test_a_code_means_the_same_with_and_without_a_status(self) -> None:
        statuses = {entry.code: entry.http_status for entry in catalog() if entry.http_status}
        told = {code for codes in errors._SOCKET_CODES.values() for code in codes.split()}

        for code in told & set(statuses):
            assert errors.family_of(code, 0) is errors.family_of(code, statuses[code]), code
        # What a login over a WebSocket can be refused with.
        assert {"INVALID_SIGNATURE", "KEY_REVOKED", "IP_NOT_ALLOWED", "NONCE_REUSED"} <= told

    def test_unknown_codes_of_a_socket_are_its_own(self) -> None:
        assert errors.family_of("NEVER_SEEN", 0) is errors.StreamError

    def test_what_passes_says_when_to_come_back(self) -> None:
        assert errors.error_of("ENGINE_BUSY", status=503).retry_after == 1.0
        assert errors.error_of("ORDER_RATE", status=429, retry_after=3).retry_after == 3
        assert errors.error_of("LOT_SIZE", status=422).retry_after is None


class TestOrderReferences:
    def test_name_one_order(self) -> None:
        assert calls.order_ref("7", None) == {"order_id": "7"}
        assert calls.order_ref(None, "mine") == {"client_order_id": "mine"}

    @pytest.mark.parametrize("ids", [(None, None), ("7", "mine")])
    def test_need_exactly_one_id(self, ids: tuple[str | None, str | None]) -> None:
        with pytest.raises(ValueError, match="either"):
            calls.order_ref(*ids)

    def test_are_quoted_in_paths(self) -> None:
        assert calls.order({"order_id": "../x?y"}).target == "/api/orders/..%2Fx%3Fy"


class TestSession:
    def tokens(self, expires_in: int) -> Tokens:
        return Tokens(access_token="a", refresh_token="r", expires_in=expires_in)

    def test_logs_in_only_with_a_password(self) -> None:
        assert Session(Password("alice", "x"), lambda: 0.0).must_log_in
        assert not Session(Token("t"), lambda: 0.0).must_log_in
        assert not Session(None, lambda: 0.0).must_log_in

    @pytest.mark.parametrize(("expires_in", "renewed_at_s"), [(900, 890), (10, 5), (4, 2)])
    def test_is_renewed_before_it_ends(self, expires_in: int, renewed_at_s: int) -> None:
        now_s = 100.0
        session = Session(Password("alice", "x"), lambda: now_s)
        session.keep(self.tokens(expires_in))

        now_s = 100.0 + renewed_at_s - 0.1
        assert not session.must_refresh
        now_s = 100.0 + renewed_at_s
        assert session.must_refresh

    def test_shows_no_secrets(self) -> None:
        assert "x-secret" not in repr(Password("alice", "x-secret"))
        assert "x-secret" not in repr(Token("x-secret", "x-secret"))


def test_pauses_double_up_to_a_bound_and_begin_again() -> None:
    backoff = Backoff(first_s=1.0, max_s=8.0, chance=random.Random(1))

    pauses = [backoff.next_s() for _ in range(6)]

    for pause, bound in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert bound / 2 <= pause <= bound
    assert len(set(pauses)) == 6
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_the_client_for_threads_is_the_one_for_asyncio() -> None:
    code = (
        "import generate_sync as g\n"
        "for source, target in g.PAIRS.items():\n"
        "    text = g.converted((g.PACKAGE / source).read_text(), target)\n"
        "    assert text == (g.PACKAGE / target).read_text(), f'{target}: run generate_sync.py'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SDK, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_of_the_platform_is_needed() -> None:
    code = (
        "import sys; sys.path = ['src', *(p for p in sys.path if p)]\n"
        "import tradingclient\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'django', 'common', 'exchange', 'orders', 'redis', 'channels'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SDK, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
