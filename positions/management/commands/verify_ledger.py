"""``manage.py verify_ledger``: prove that all money adds up and no row is damaged."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from common.db import read_snapshot
from exchange.core.units import format_atoms
from exchange.processor import make_projections
from exchange.row_check import RowReport, verify_rows
from exchange.store.base import StoreUnusableError
from exchange.store.factory import open_store
from markets.selectors import assets_all, cache_clear
from orders.retention import pruned_through
from orders.selectors import holds_needed
from positions.ledger_standing import standing_all
from wallets.verify import AssetReport, verify_ledger


class Command(BaseCommand):
    """Prints one line per asset and one of rows; exit code 1 if anything is wrong."""

    help = "Check balances, ledger, holds and positions, and every row against its checksum."

    def handle(self, *args: Any, **options: Any) -> None:
        """
        Check in one snapshot and print the result.

        Raises:
            SystemExit: 1 if something is wrong.
            CommandError: if rows are so damaged that the ledger cannot be read (exit code 1),
                or the database cannot be used at all (2).
        """
        rows = self._check_rows()
        try:
            with read_snapshot():
                cache_clear()
                assets = {asset.asset_id: asset for asset in assets_all()}
                reports = verify_ledger(
                    asset_ids=assets, needs=holds_needed(), standing=standing_all()
                )
        except (DatabaseError, ArithmeticError, LookupError, ValueError) as error:
            self._print_rows(rows)
            raise CommandError(f"the ledger cannot be read ({error!r})", returncode=1) from error
        for report in reports:
            asset = assets.get(report.asset_id)
            code = asset.code if asset else f"asset {report.asset_id}"
            self._print(code, asset.decimals if asset else 8, report)
        self._print_rows(rows)
        if not (rows.ok and all(report.ok for report in reports)):
            raise SystemExit(1)

    def _check_rows(self) -> RowReport:
        try:
            store = open_store(paced=False)
        except StoreUnusableError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            return verify_rows(
                store,
                make_projections(),
                pruned_through=pruned_through,
                progress=lambda text: self.stderr.write(f"checking rows: {text}"),
            )
        finally:
            store.close()

    def _print_rows(self, report: RowReport) -> None:
        result = "ok" if report.ok else f"WRONG: {report.problems_found} differences"
        self.stdout.write(
            f"rows: {result}; {report.checked} are what was written, {report.batches} batches in"
            f" the command log, {report.uncovered} without a checksum"
        )
        for problem in report.problems:
            self.stdout.write(f"  {problem}")

    def _print(self, code: str, decimals: int, report: AssetReport) -> None:
        result = "ok" if report.ok else f"WRONG: {report.problems_found} differences"
        self.stdout.write(
            f"{code}: {result}; sum {format_atoms(report.sum_atoms, decimals)}, "
            f"issued {format_atoms(report.issued_atoms, decimals)}, "
            f"held {format_atoms(report.held_atoms, decimals)}, "
            f"{report.balances} balances, {report.entries} postings"
        )
        for problem in report.problems:
            self.stdout.write(f"  {problem}")
