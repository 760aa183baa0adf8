"""A database that lost the end of its log is refused, not taken for an older state."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from django.db import connection

from exchange.core.commands import ConfigureAsset
from exchange.inline import InlineExchange
from exchange.processor import make_projections
from exchange.store.base import StoreUnusableError
from exchange.store.factory import open_store
from exchange.store.loader import load_state
from exchange.store.witness import Witness, note_path
from tests.support.exchange import asset


def commit(command: ConfigureAsset) -> int:
    """Carry out one command and return the batch it was committed in."""
    exchange = InlineExchange(open_store(paced=False))
    exchange.apply(command)
    return exchange.processor.position.batch


def load_batch() -> int:
    """Load as a start does and return the last batch."""
    return load_state(open_store(paced=False), make_projections()).position.batch


@pytest.fixture
def kept(database_file: Path, tmp_path: Path) -> Path:
    """A copy of the database with one asset."""
    commit(asset(1, "BTC"))
    connection.close()
    return Path(shutil.copy(database_file, tmp_path / "kept.sqlite3"))


class TestLostEnd:
    def test_is_refused_with_both_batches_and_the_remedy(
        self, kept: Path, database_file: Path
    ) -> None:
        newest = commit(asset(2, "ETH"))
        connection.close()
        database_file.write_bytes(kept.read_bytes())

        with pytest.raises(
            StoreUnusableError, match=rf"but batch {newest} was committed: .*-newest"
        ):
            load_batch()

    def test_is_accepted_once_the_note_is_removed(self, kept: Path, database_file: Path) -> None:
        newest = commit(asset(2, "ETH"))
        connection.close()
        database_file.write_bytes(kept.read_bytes())
        note_path(database_file).unlink()

        assert load_batch() < newest

    def test_a_backup_put_in_its_place_is_a_file_of_its_own(
        self, kept: Path, database_file: Path
    ) -> None:
        newest = commit(asset(2, "ETH"))
        connection.close()
        kept.replace(database_file)

        assert load_batch() < newest

    def test_a_whole_database_is_loaded(self, database_file: Path) -> None:
        newest = commit(asset(1, "BTC"))

        assert Witness(database_file).newest_batch() == newest
        assert load_batch() == newest


class TestWitness:
    def test_a_new_note_knows_nothing_and_keeps_what_it_is_told(self, tmp_path: Path) -> None:
        database = tmp_path / "a"
        database.touch()
        witness = Witness(database)

        assert witness.newest_batch() == 0
        witness.committed(2**40)
        assert Witness(database).newest_batch() == 2**40


def test_rows_that_cannot_be_read_are_refused_in_one_line(database_file: Path) -> None:
    commit(asset(1, "BTC"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange_batch SET payload = x'93ff'")

    with pytest.raises(StoreUnusableError, match="restore a backup"):
        load_batch()
