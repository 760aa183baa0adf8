"""Vocabularies of the risk engine."""

from enum import IntEnum


class FundDirection(IntEnum):
    """Which way an operator moves money of an insurance fund."""

    PAY_IN = 1
    TAKE_OUT = -1
