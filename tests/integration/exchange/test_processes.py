"""Real exchange processes: killed, stopped, doubled, started on a database they must refuse."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F

from exchange import gateway
from exchange.crash_points import PHASES, read_phase
from exchange.lease import LEASE_S
from exchange.models import LogPosition
from exchange.store.base import StoreUnusableError
from exchange.store.schema import check_schema
from tests.support.databases import OwnDatabase
from tests.support.exchange_process import (
    assert_rows_and_replay_agree,
    make_process,
    place,
    process,
    wait_for_leader,
)
from tests.support.processes import ExchangeProcess, RedisProcess, wait_until
from wallets.models import Balance

__all__ = ["process"]


class TestLeader:
    def test_nothing_acknowledged_is_lost_when_it_is_killed(self, process: ExchangeProcess) -> None:
        process.start()
        wait_for_leader(2)
        first = place(client_order_id="a")
        process.kill()

        process.start()
        wait_for_leader(3)

        assert place(client_order_id="a") == first
        assert place(101) == first + 1
        assert process.stop() == 0
        assert LogPosition.objects.get().owner == ""
        # A status may be 100 ms old.
        wait_until(lambda: gateway.status().down, 1.0)
        assert_rows_and_replay_agree()

    def test_pauses_and_marks_its_phase_for_kill_tests(self, process: ExchangeProcess) -> None:
        process.start(EXCHANGE_PAUSE_AT="in_commit:300ms")
        wait_for_leader(2)

        seen = set()
        for step in range(2):
            place(100 + step)
            seen.add(read_phase(process.var_dir))

        assert seen <= set(PHASES)

    def test_exits_70_and_silent_when_another_took_the_lease(
        self, process: ExchangeProcess
    ) -> None:
        leader = process.start()
        wait_for_leader(2)

        LogPosition.objects.update(epoch=50, owner="elsewhere", owner_pid=1)

        assert leader.wait(60) == 70
        process.process = None


class TestStandby:
    def test_ends_a_leader_that_stands_still_before_it_leads(
        self, process: ExchangeProcess, redis_server: RedisProcess, own_database: OwnDatabase
    ) -> None:
        leader = process.start()
        wait_for_leader(2)
        first = place(client_order_id="a")
        standby = make_process(own_database, redis_server, process.var_dir / "standby")
        standby.start()
        try:
            standby.wait_for_log("leader_recorded")
            time.sleep(LEASE_S * 1.2)
            assert gateway.status().epoch == 2

            leader.send_signal(signal.SIGSTOP)
            wait_for_leader(3)

            assert leader.wait(60) == -signal.SIGKILL
            assert place(client_order_id="a") == first
        finally:
            standby.stop()


class TestRefusedDatabase:
    def test_ends_with_code_2_and_one_line(self, process: ExchangeProcess) -> None:
        Balance.objects.update(held_atoms=F("held_atoms") + 1)

        refused = process.start()

        assert refused.wait(60) == 2
        assert refused.stderr is not None
        line = refused.stderr.read().decode()
        assert line.startswith(
            "exchange: database is damaged (a live row of wallets_balance is not"
        )
        assert line.count("\n") == 1
        process.process = None

    def test_corrupt(self, database_file: Path) -> None:
        connection.close()
        database_file.write_bytes(b"\xa5" * 4096 + database_file.read_bytes()[4096:])

        with pytest.raises(StoreUnusableError, match=r"restore it|cannot be opened"):
            check_schema()

    def test_not_migrated(self, database_file: Path) -> None:
        connection.close()
        for path in database_file.parent.glob(f"{database_file.name}*"):
            path.unlink()

        with pytest.raises(StoreUnusableError, match=r"run manage\.py migrate"):
            check_schema()

    def test_of_a_newer_version(self, own_database: OwnDatabase) -> None:
        MigrationRecorder(connection).record_applied("exchange", "0999_future")

        with pytest.raises(StoreUnusableError, match="newer version"):
            check_schema()

    def test_as_it_should_be(self, own_database: OwnDatabase) -> None:
        check_schema()
