"""The arrays of the sweep grow with the exchange."""

from riskengine.screen import Screen

WALLETS = 5_000
ASSET = 2


def test_every_wallet_has_its_place_however_many_there_are() -> None:
    screen = Screen()

    for account in range(WALLETS):
        screen.set_wallet(account, ASSET, account * 10)

    balances, needs = screen.standings()
    assert balances.tolist() == [account * 10 for account in range(WALLETS)]
    assert not needs.any()
