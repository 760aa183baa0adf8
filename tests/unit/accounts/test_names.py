import pytest
from django.core.exceptions import ValidationError

from accounts.names import normalise_email, normalise_username


class TestUsername:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [("alice", "alice"), ("Alice_1", "alice_1"), ("\uff21lice", "alice"), ("a" * 32, "a" * 32)],
    )
    def test_has_one_normal_form(self, text, normal):
        assert normalise_username(text) == normal

    @pytest.mark.parametrize(
        "text",
        ["", "ab", "a" * 33, "\u0430lice", "al-ice", " alice", "alice\n", "\u200balice", "al\x00"],
    )
    def test_refuses(self, text):
        with pytest.raises(ValidationError):
            normalise_username(text)


class TestEmail:
    def test_has_one_normal_form(self):
        assert normalise_email(" Alice@Example.COM ") == "alice@example.com"

    @pytest.mark.parametrize(
        "text", ["", "alice", "a@b", "a@\u0435xample.com", "a@b.c@d.e", "x" * 250 + "@a.bc"]
    )
    def test_refuses(self, text):
        with pytest.raises(ValidationError):
            normalise_email(text)
