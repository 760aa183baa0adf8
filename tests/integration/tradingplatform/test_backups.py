"""P15: a backup made under load restores to the state it names; a damaged one is refused."""

from __future__ import annotations

import io
import itertools
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.models import F

from common.jobs import last_runs
from exchange import gateway
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from exchange.lease import Owner
from exchange.models import Batch, LogPosition
from exchange.processor import make_projections
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from orders.models import Order
from tests.support.databases import OwnDatabase, default_database
from tests.support.exchange import ExchangeHarness, limit_order
from tests.support.processes import ExchangeProcess, RedisProcess, wait_until
from tests.support.tampering import alter
from tradingplatform.backups.manifest import MANIFEST, BackupError, read_manifest
from tradingplatform.backups.service import make_backup, prune_backups, restore_backup
from wallets.models import Balance

ALICE = 1_000_000_001


@pytest.fixture
def filled(database_file: Path) -> Path:
    """A database in which somebody trades no longer."""
    harness = ExchangeHarness()
    harness.seed_markets()
    harness.add_account(ALICE, BTC=10, USDT=1_000_000)
    for price in (100, 101, 102):
        gateway.submit(limit_order(ALICE, Side.BUY, price=price, quantity_atoms=ATOMS))
    LogPosition.objects.update(owner="", owner_pid=0)
    return database_file


@pytest.fixture
def backup(filled: Path, tmp_path: Path) -> Path:
    return make_backup(tmp_path / "backups")[0]


def assert_is_state(expected: str) -> None:
    assert rows_hash(open_store(), make_projections()) == expected


@pytest.fixture
def led(
    own_database: OwnDatabase,
    filled: Path,
    redis_server: RedisProcess,
    settings: object,
    tmp_path: Path,
) -> Iterator[None]:
    """A real exchange leads, and orders come all the time."""
    settings.EXCHANGE_TRANSPORT = "redis"  # type: ignore[attr-defined]
    gateway.use_inline(None)
    exchange = ExchangeProcess(
        var_dir=tmp_path / "var", database=own_database, redis_url=redis_server.url
    )
    exchange.start()
    wait_until(lambda: gateway.status().phase == "trading", 30)
    ended = threading.Event()

    def trade() -> None:
        for price in itertools.count(1):
            if ended.is_set():
                return
            gateway.submit(
                limit_order(ALICE, Side.BUY, price=price % 90 + 1, quantity_atoms=ATOMS // 100)
            )

    trader = threading.Thread(target=trade)
    trader.start()
    yield
    ended.set()
    trader.join()
    exchange.stop()


@pytest.mark.usefixtures("led")
def test_under_load_it_is_one_moment_of_the_exchange(tmp_path: Path) -> None:
    before = Batch.objects.count()
    wait_until(lambda: Batch.objects.count() > before + 5)

    directory, manifest = make_backup(tmp_path / "backups")

    with_later = LogPosition.objects.get().batch
    assert manifest.batch <= with_later
    wait_until(lambda: LogPosition.objects.get().batch > with_later)
    with default_database(str(tmp_path / "new" / "restored.sqlite3")):
        restored = restore_backup(directory)
        assert restored == manifest
        assert LogPosition.objects.get().batch == manifest.batch
        assert Batch.objects.count() == manifest.batch
        assert_is_state(manifest.state_hash)
        out = io.StringIO()
        call_command("replay_log", stdout=out)
        assert manifest.state_hash in out.getvalue()
        call_command("verify_ledger", stdout=io.StringIO())


class TestDamaged:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, backup: Path, tmp_path: Path) -> Iterator[None]:
        self.backup = backup
        self.file = backup / "exchange.sqlite3"
        self.target = tmp_path / "restored.sqlite3"
        with default_database(str(self.target)):
            yield

    def refused(self, match: str) -> None:
        with pytest.raises(BackupError, match=match):
            restore_backup(self.backup)
        assert not self.target.exists()

    def test_by_one_byte(self) -> None:
        data = bytearray(self.file.read_bytes())
        data[len(data) // 2] ^= 1
        self.file.write_bytes(data)
        self.refused("not what was written")

    def test_cut_short(self) -> None:
        self.file.write_bytes(self.file.read_bytes()[:-100])
        self.refused("bytes and had")

    def test_without_its_file(self) -> None:
        self.file.unlink()
        self.refused("cannot be read")

    @pytest.mark.parametrize("text", ["", "{}", "[]"])
    def test_without_a_manifest(self, text: str) -> None:
        (self.backup / MANIFEST).write_text(text)
        self.refused("no readable manifest")

    @pytest.mark.parametrize(
        ("change", "match"), [({"format": 2}, "format 2"), ({"vendor": "postgresql"}, "is of")]
    )
    def test_of_another_kind(self, change: dict[str, object], match: str) -> None:
        manifest = msgspec.structs.replace(read_manifest(self.backup), **change)
        (self.backup / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        self.refused(match)

    def test_whose_state_is_another_is_told(self) -> None:
        manifest = msgspec.structs.replace(read_manifest(self.backup), state_hash="0" * 64)
        (self.backup / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        with pytest.raises(BackupError, match="do not use this database"):
            restore_backup(self.backup)


class TestRestoring:
    def test_over_a_database_that_is_not_empty_is_refused(self, backup: Path) -> None:
        before = LogPosition.objects.get().batch

        with pytest.raises(CommandError, match="not empty") as raised:
            call_command("restore", str(backup))

        assert raised.value.returncode == 2
        assert LogPosition.objects.get().batch == before

    def test_under_a_running_exchange_is_refused(self, backup: Path) -> None:
        me = Owner.this_process()
        LogPosition.objects.update(owner=me.host, owner_pid=me.pid, owner_started=me.started)

        with pytest.raises(BackupError, match="stop the platform"):
            restore_backup(backup)

    def test_over_tables_in_which_nothing_has_happened(self, backup: Path, tmp_path: Path) -> None:
        manifest = read_manifest(backup)
        with default_database(str(tmp_path / "empty.sqlite3")):
            call_command("migrate", verbosity=0)
            out = io.StringIO()
            call_command("restore", str(backup), stdout=out)
            assert manifest.state_hash in out.getvalue()
            assert "BTC: ok" in out.getvalue()


class TestMaking:
    def test_tells_health_when_it_was(
        self, filled: Path, redis_server: RedisProcess, tmp_path: Path
    ) -> None:
        out = io.StringIO()

        call_command("backup", to=tmp_path / "backups", stdout=out)

        run = last_runs(redis_server.client)["backup"]
        assert run.outcome == "success"
        assert run.success_ms > 0
        assert "state " in out.getvalue()
        (tmp_path / "file").write_text("")
        with pytest.raises(CommandError, match="cannot be made") as raised:
            call_command("backup", to=tmp_path / "file" / "below")
        assert raised.value.returncode == 2
        failed = last_runs(redis_server.client)["backup"]
        assert (failed.outcome, failed.success_ms) == ("failure", run.success_ms)

    def test_of_rows_that_contradict_each_other_is_refused_and_leaves_nothing(
        self, filled: Path, tmp_path: Path
    ) -> None:
        alter(Balance, held_atoms=F("held_atoms") + 1)

        with pytest.raises(BackupError, match="do not describe a state"):
            make_backup(tmp_path / "backups")

        assert list((tmp_path / "backups").iterdir()) == []

    def test_keeps_the_newest(self, filled: Path, tmp_path: Path) -> None:
        made = [make_backup(tmp_path / "backups")[0] for _ in range(3)]
        (tmp_path / "backups" / "exchange-1.partial").mkdir()

        assert prune_backups(tmp_path / "backups", keep=2) == made[:1]

        assert [path.exists() for path in made] == [False, True, True]


class TestReplay:
    def test_a_log_that_says_something_else_is_told(self, filled: Path) -> None:
        alter(Order, price_atoms=F("price_atoms") + 1_000_000)

        with pytest.raises(CommandError) as raised:
            call_command("replay_log")

        assert raised.value.returncode in (1, 2)

    def test_a_log_without_its_beginning_is_refused(self, filled: Path) -> None:
        Batch.objects.filter(id=1).delete()

        with pytest.raises(CommandError, match="older batches were removed") as raised:
            call_command("replay_log")

        assert raised.value.returncode == 2


def test_a_database_alias_is_not_left_behind(backup: Path) -> None:
    assert "backup" not in connections.databases
    shutil.rmtree(backup)
