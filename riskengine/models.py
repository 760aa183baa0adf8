"""Terms, prices and liquidations of perpetual markets; written by the exchange's store alone."""

from django.db import models

from common.fields import AtomsField, KeyField


class Contract(models.Model):
    """
    The terms of a perpetual market as they now are; the key is the market's.

    ``brackets`` are JSON: (floor, maintenance rate, maintenance amount, highest leverage).
    """

    id = KeyField()
    insurance_group = models.IntegerField()
    funding_interval_ms = models.BigIntegerField()
    interest_rate_e8 = models.BigIntegerField()
    funding_cap_e8 = models.BigIntegerField()
    impact_notional_atoms = AtomsField()
    liquidation_fee_e8 = models.BigIntegerField()
    position_notional_max_atoms = AtomsField()
    open_interest_max_atoms = AtomsField()
    brackets = models.TextField()
    leverage_default = models.SmallIntegerField()
    liquidations_paused = models.BooleanField()
    settled_price_atoms = AtomsField()

    def __str__(self) -> str:
        """Return whose terms these are."""
        return f"contract of market {self.id}"


class Insurance(models.Model):
    """An insurance group's terms and its fund's running high; the balance is in the wallets."""

    id = KeyField()
    notional_cap_e8 = models.BigIntegerField()
    shock_e8 = models.BigIntegerField()
    drawdown_e8 = models.BigIntegerField()
    recovery_e8 = models.BigIntegerField()
    high_atoms = AtomsField()
    high_ms = models.BigIntegerField()
    stopped = models.BooleanField()

    class Meta:
        verbose_name = "insurance group"

    def __str__(self) -> str:
        """Return the number of the group."""
        return f"insurance group {self.id}"


class Price(models.Model):
    """
    All prices of a perpetual market as of its last update; the key is the market's.

    ``basis`` are the latest samples of mid - index, packed.
    """

    id = KeyField()
    mark_atoms = AtomsField()
    index_atoms = AtomsField()
    time_ms = models.BigIntegerField()
    quality = models.SmallIntegerField()
    unhealthy_since_ms = models.BigIntegerField()
    basis = models.BinaryField()
    sampled_ms = models.BigIntegerField()
    premium_sum_e8 = models.BigIntegerField()
    premium_count = models.BigIntegerField()
    predicted_rate_e8 = models.BigIntegerField()
    funding_rate_e8 = models.BigIntegerField()
    next_funding_ms = models.BigIntegerField()
    last_trade_ms = models.BigIntegerField()
    open_interest_atoms = AtomsField()
    halted_for_price = models.BooleanField()
    flow_second = models.BigIntegerField()
    flow_atoms = AtomsField()

    def __str__(self) -> str:
        """Return whose prices these are."""
        return f"prices of market {self.id}"


class Funding(models.Model):
    """
    Funding of one market and time; never changed after it is written.

    The key is the time followed by the market, so that rows are appended and the newest of a
    market are found near the end.
    """

    id = KeyField()
    market_id = models.IntegerField()
    funding_ms = models.BigIntegerField()
    rate_e8 = models.BigIntegerField()
    mark_atoms = AtomsField()
    skipped = models.BooleanField()
    time_ms = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "funding"

    def __str__(self) -> str:
        """Return which funding this is."""
        return f"funding {self.funding_ms} of market {self.market_id}"


class MarginCall(models.Model):
    """
    A warning that a scope came near liquidation; written by the sweep, not by the exchange.

    ``market_id`` 0 is all that is cross. ``level_e8`` is the margin ratio that was reached,
    ``ratio_e8`` what it was then; both 10^-8.
    """

    id = KeyField()
    account_id = models.BigIntegerField(db_index=True)
    market_id = models.IntegerField()
    level_e8 = models.BigIntegerField()
    ratio_e8 = models.BigIntegerField()
    time_ms = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the number."""
        return f"margin call {self.id}"


class Liquidation(models.Model):
    """
    One thing that the liquidation ladder did; never changed after it is written.

    Amounts are in quote atoms; ``insurance_atoms`` is what the fund gained or (negative) paid.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    position_id = models.BigIntegerField()
    kind = models.SmallIntegerField()
    side = models.SmallIntegerField()
    quantity_atoms = AtomsField()
    price_atoms = AtomsField()
    quote_atoms = AtomsField()
    mark_atoms = AtomsField()
    equity_atoms = AtomsField()
    maintenance_atoms = AtomsField()
    fee_atoms = AtomsField()
    insurance_atoms = AtomsField()
    counterparty_id = models.BigIntegerField()
    time_ms = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the number."""
        return f"liquidation {self.id}"
