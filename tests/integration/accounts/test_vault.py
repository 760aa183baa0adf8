"""Secrets at rest: keys, their rotation, and what does not open."""

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from accounts import api_keys, services, two_factor, vault
from accounts.checks import check_vault
from accounts.models import ApiKey, TwoFactor

PASSWORD = "correct horse 9"
FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def keys(settings, tmp_path):
    """Use keys of the test's own, and forget them."""
    settings.KEYS_DIR = tmp_path / "keys"

    def use(*texts):
        settings.SECRETS_KEYS = list(texts)
        vault.vault.clear()

    use(FIRST)
    yield use
    vault.vault.clear()


@pytest.fixture
def secrets(db):
    """A user with an API key and a second factor; the secrets of both."""
    user = services.user_create(username="alice", email="a@example.com", password=PASSWORD)
    key = api_keys.api_key_create(user=user, name="bot", scopes=["read"]).secret
    totp = two_factor.factor_setup(user=user, current_password=PASSWORD, ip="::1").secret
    return key, totp


def stored():
    row, factor = ApiKey.objects.get(), TwoFactor.objects.get()
    return (
        vault.unseal(row.secret, purpose="api-key", owner_id=row.pk),
        vault.unseal(factor.secret, purpose="totp", owner_id=factor.pk),
    )


class TestKeys:
    def test_the_first_start_makes_one_for_the_owner_alone(self, keys, settings):
        keys()
        sealed = vault.seal("x", purpose="p", owner_id=1)
        path = settings.KEYS_DIR / "secrets.key"

        assert path.stat().st_mode & 0o777 == 0o600
        vault.vault.clear()
        assert vault.unseal(sealed, purpose="p", owner_id=1) == "x"

    def test_production_makes_none(self, keys, settings):
        keys()
        settings.PRODUCTION = True

        with pytest.raises(ImproperlyConfigured, match="SECRETS_KEYS"):
            vault.load_vault()
        assert [message.id for message in check_vault()] == ["accounts.E002"]
        assert not settings.KEYS_DIR.exists()

    def test_an_unusable_key_is_named(self, keys):
        keys("short")

        assert [message.id for message in check_vault()] == ["accounts.E002"]

    @pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "\u00e9"])
    def test_what_is_not_sealed_does_not_open(self, sealed):
        with pytest.raises(vault.VaultError):
            vault.unseal(sealed, purpose="p", owner_id=1)


class TestRotation:
    def test_an_old_key_opens_until_everything_is_resealed(self, keys, secrets, capsys):
        keys(SECOND, FIRST)
        assert stored() == secrets

        call_command("reseal_secrets")

        keys(SECOND)
        assert stored() == secrets
        assert "2 secrets" in capsys.readouterr().out

    def test_says_what_opens_with_none(self, keys, secrets):
        before = ApiKey.objects.get().secret
        keys(SECOND)

        with pytest.raises(CommandError, match="2 secrets open with none"):
            call_command("reseal_secrets")
        assert ApiKey.objects.get().secret == before
