"""A user's second factor: a clock that stands still, a telephone, and setting it up."""

from __future__ import annotations

import pyotp
import pytest

from accounts import two_factor
from common.testing import ApiClient

# A moment in the middle of a step, so that a test never crosses into the next one.
NOW = 1_800_000_015


class FrozenTime:
    """Stands in for the module ``time`` where the second factor looks at it."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def time(self) -> float:
        """Return the time, which moves only when a test moves it."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FrozenTime:
    """The clock of the second factor, standing still."""
    frozen = FrozenTime()
    monkeypatch.setattr(two_factor, "time", frozen)
    return frozen


class Authenticator:
    """The user's telephone."""

    def __init__(self, secret: str, clock: FrozenTime) -> None:
        self._totp, self._clock = pyotp.TOTP(secret), clock

    def code(self, steps: int = 0) -> str:
        """Return the code of the present step, or of one so many steps away."""
        return str(self._totp.at(int(self._clock.now), counter_offset=steps))

    def next_code(self) -> str:
        """Wait for the next step and return its code."""
        self._clock.now += two_factor.STEP_S
        return self.code()


def enable(
    client: ApiClient, clock: FrozenTime, *, password: str
) -> tuple[Authenticator, list[str]]:
    """Set up a second factor; return the telephone and the recovery codes."""
    answer = client.post("/api/auth/2fa/setup", {"current_password": password})
    assert answer.status_code == 201, answer.content
    phone = Authenticator(answer.json()["secret"], clock)
    answer = client.post("/api/auth/2fa/confirm", {"code": phone.code()})
    assert answer.status_code == 200, answer.content
    return phone, answer.json()["recovery_codes"]
