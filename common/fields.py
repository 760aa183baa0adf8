"""Columns that mean the same on every database."""

from django.db import models

from exchange.fields import RowKeyField


class KeyField(RowKeyField):
    """Primary key of a table of the platform; see ``exchange.fields.RowKeyField``."""


class AtomsField(models.BigIntegerField):
    """An integer amount or price in units of 10^-8; never a decimal, never summed in SQL."""
