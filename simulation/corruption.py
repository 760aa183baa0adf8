"""
Damage a SQLite database in one place, start by the exchange's own path, and judge the state.

The database has orders, trades and positions, and as after ``kill -9`` a write-ahead log that
is not yet in the file. Each trial changes one byte of either, or cuts one short. A start must
refuse in one line or arrive at the right state hash, and ``verify_ledger`` must name what
history is damaged; every other end fails the run.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path

from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from exchange.core.engine import Exchange
from exchange.processor import make_projections
from exchange.store.base import StoreError
from exchange.store.factory import open_store
from exchange.store.loader import load_state
from exchange.store.schema import check_schema
from exchange.store.tables import BATCH_SUMS, BATCHES, CLIENT_KEYS, OPERATOR_COMMANDS, QUARANTINE
from simulation.stored_soak import COMMANDS_PER_BATCH, StoredSoak
from tradingplatform.supervisor.problems import PreflightError
from tradingplatform.supervisor.sqlite_check import check_sqlite

COMMANDS = 1_200
# The last part of the commands is in the write-ahead log alone.
LOGGED_SHARE = 5
KINDS = ("byte of the file", "byte of the log", "file cut", "log cut")
# A cut happens once, bytes rot again and again.
KIND_WEIGHTS = (6, 2, 1, 1)

REFUSED = "refused"
RIGHT = "right state, nothing lost"
HISTORY_NAMED = "right state, damaged history that verify_ledger names"
HISTORY_QUIET = "right state, damaged history that nobody names"
EARLIER = "state of an earlier commit"
UNKEPT = "right state, damage outside the rows of the exchange"
NAMED = "wrong state that verify_ledger names"
SILENT = "wrong state that nobody names"
CRASHED = "ended without a clear line"
# The lease aside, which the position row also holds, these are all tables of the exchange.
_KEPT = {table.name for table in (BATCHES, BATCH_SUMS, CLIENT_KEYS, OPERATOR_COMMANDS, QUARANTINE)}
_KEPT |= {table.name for projection in make_projections() for table in projection.tables}
NEVER = frozenset({CRASHED, EARLIER, SILENT, NAMED, HISTORY_QUIET})


@dataclass(slots=True)
class Trial:
    """One damage and what came of it."""

    kind: str
    where: int
    outcome: str
    detail: str = ""


@dataclass(slots=True)
class CorruptionRun:
    """Trials on the default database, which must be a migrated, empty SQLite file."""

    trials: int
    seed: int = 1
    commands: int = COMMANDS
    done: list[Trial] = field(default_factory=list)
    _file: bytes = b""
    _log: bytes = b""
    _hash: str = ""
    _rows: dict[str, str] = field(default_factory=dict)
    _batch: int = 0
    _parts: dict[str, str] = field(default_factory=dict)

    def run(self) -> bool:
        """Fill the database, damage it again and again; return whether every start was clean."""
        self._fill()
        chance = random.Random(self.seed)
        for _ in range(self.trials):
            kind = chance.choices(KINDS, KIND_WEIGHTS)[0]
            self.done.append(self._try(kind, chance))
        self._put(self._file, self._log)
        return not self.problems()

    def problems(self) -> list[str]:
        """Return what may never happen."""
        return [
            f"{trial.outcome}: {trial.kind} at {trial.where}: {trial.detail}"
            for trial in self.done
            if trial.outcome in NEVER
        ]

    def count(self, outcome: str) -> int:
        """Return how many trials ended so."""
        return sum(trial.outcome == outcome for trial in self.done)

    def lines(self) -> list[str]:
        """Return the report: outcomes by kind of damage, and problems."""
        counts = Counter((trial.outcome, trial.kind) for trial in self.done)
        lines = [
            f"seed {self.seed}, {len(self.done)} damages to a file of {len(self._file):,d} bytes"
            f" and a log of {len(self._log):,d}"
        ]
        for outcome in sorted({trial.outcome for trial in self.done}):
            kinds = ", ".join(
                f"{counts[outcome, kind]} {kind}" for kind in KINDS if counts[outcome, kind]
            )
            lines.append(f"{self.count(outcome):6,d}  {outcome}: {kinds}")
        lines += [
            f"{trial.outcome}: {trial.kind} at {trial.where}, in {trial.detail}"
            for trial in self.done
            if trial.outcome == UNKEPT
        ]
        return lines + [f"PROBLEM {problem}" for problem in self.problems()]

    @property
    def path(self) -> Path:
        """The database's file."""
        return Path(str(connection.settings_dict["NAME"]))

    def _fill(self) -> None:
        soak = StoredSoak()
        logged = self.commands // LOGGED_SHARE
        soak.run(self.seed, self.commands - logged)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(logged // COMMANDS_PER_BATCH):
            soak.run(self.seed + 1 + number, COMMANDS_PER_BATCH)
        self._hash = soak.engine.state_hash()
        self._batch = soak.inline.processor.position.batch
        self._parts = _parts(soak.engine)
        # The log is merged into the file and removed when the last connection ends.
        self._file = self.path.read_bytes()
        self._log = self._log_path.read_bytes()
        self._put(self._file, self._log)
        self._rows = _digests()

    def _different(self, engine: Exchange) -> str:
        found = _parts(engine)
        return ", ".join(name for name, text in self._parts.items() if found[name] != text)

    @property
    def _log_path(self) -> Path:
        return self.path.with_name(self.path.name + "-wal")

    def _put(self, file: bytes, log: bytes) -> None:
        connection.close()
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)
        self.path.write_bytes(file)
        self._log_path.write_bytes(log)

    def _try(self, kind: str, chance: random.Random) -> Trial:
        in_file = "file" in kind
        whole = self._file if in_file else self._log
        where = chance.randrange(len(whole))
        damaged = whole[:where]
        if "byte" in kind:
            damaged += bytes([whole[where] ^ chance.randint(1, 255)]) + whole[where + 1 :]
        self._put(damaged if in_file else self._file, self._log if in_file else damaged)
        outcome, detail = self._start()
        return Trial(kind, where, outcome, detail)

    def _start(self) -> tuple[str, str]:
        """Start as ``make run`` and the exchange do; return the outcome and what was said."""
        try:
            check_sqlite(self.path)
            check_schema()
            state = load_state(open_store(paced=False), make_projections())
            found = state.exchange.state_hash()
        except (PreflightError, StoreError) as error:
            return REFUSED, str(error)
        except Exception as error:
            return CRASHED, repr(error)
        if state.position.batch < self._batch:
            return EARLIER, f"batch {state.position.batch} of {self._batch}"
        named = _ledger_problem()
        if found != self._hash:
            return (NAMED, named) if named else (SILENT, self._different(state.exchange))
        found_rows = _digests()
        damaged = [name for name, digest in self._rows.items() if found_rows.get(name) != digest]
        if not damaged:
            return RIGHT, ""
        if named:
            return HISTORY_NAMED, named
        return (HISTORY_QUIET if _KEPT & {*damaged} else UNKEPT), ", ".join(damaged)


def _parts(engine: Exchange) -> dict[str, str]:
    """Return the parts of a state, as text, by name."""
    image = engine.image()
    return {name.name: repr(getattr(image, name.name)) for name in fields(image)}


def _ledger_problem() -> str:
    """Return what ``verify_ledger`` complains of, empty when it is satisfied."""
    printed = io.StringIO()
    try:
        call_command("verify_ledger", stdout=printed)
    except (SystemExit, CommandError) as error:
        return printed.getvalue() or str(error)
    return ""


def _digests() -> dict[str, str]:
    """Return a hash over every row of each table, whatever cannot be read included."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names()):
            digest = hashlib.sha256()
            try:
                # Names of our own tables.
                cursor.execute(f'SELECT * FROM "{table}" ORDER BY rowid')  # noqa: S608  # nosec B608
                digest.update(repr(cursor.fetchall()).encode())
            except (DatabaseError, UnicodeDecodeError) as error:
                digest.update(repr(str(error)).encode())
            found[table] = digest.hexdigest()
    return found
