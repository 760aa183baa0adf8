"""One address of mail as Django's settings."""

from pathlib import Path

import pytest

from tradingplatform.configuration import Environment
from tradingplatform.mail_urls import mail_settings
from tradingplatform.variables import ConfigurationError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smtp://me:p%40ss@mail.example:2525",
            ("mail.example", 2525, "me", "p@ss", False, True),
        ),
        ("smtp://me:secret@mail.example", ("mail.example", 587, "me", "secret", False, True)),
        ("smtps://me:secret@mail.example", ("mail.example", 465, "me", "secret", True, False)),
        ("smtp://localhost:25", ("localhost", 25, "", "", False, False)),
    ],
)
def test_smtp(url: str, expected: tuple[object, ...]) -> None:
    found = mail_settings(url, directory=Path("mail"))

    names = ["HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_SSL", "USE_TLS"]
    assert tuple(found[f"EMAIL_{name}"] for name in names) == expected
    assert found["EMAIL_TIMEOUT"] == 10


@pytest.mark.parametrize(
    ("url", "backend"), [("console:", "console"), ("file:", "filebased"), ("off:", "dummy")]
)
def test_without_a_server(url: str, backend: str) -> None:
    found = mail_settings(url, directory=Path("mail"))

    assert found["EMAIL_BACKEND"] == f"django.core.mail.backends.{backend}.EmailBackend"


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example", "smtp://", "smtp://a:b@c:x"]
)
def test_what_cannot_be_used_is_named_without_its_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="EMAIL_URL") as caught:
        Environment({"EMAIL_URL": url}).validate()

    assert "a:b" not in str(caught.value)
