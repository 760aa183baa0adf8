"""
What was committed, noted beside a SQLite file, so that a lost end of its log is noticed.

SQLite takes a damaged write-ahead log for one that ends earlier, and so goes back to an older
state without a word. The newest batch is therefore noted after each commit in a mapped file of
sixteen bytes beside the database. It is not flushed: after a loss of power it may be behind the
database, which only notices less, and it is never ahead of what was durable. The note belongs
to one file by its inode; a backup put in its place is a file of its own.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_NOTE = struct.Struct("<QQ")  # inode, batch


class Witness:
    """The note of one database file; belongs to the store that commits to it."""

    def __init__(self, database: Path) -> None:
        """
        Map the note, which is made if it is missing.

        Raises:
            OSError: if it cannot be written.
        """
        self.path = note_path(database)
        self._inode = database.stat().st_ino
        with self.path.open("ab") as file:
            # Written, not only made longer: a hole could not be filled on a full disk, which
            # would end the process at its next note.
            file.write(bytes(max(0, _NOTE.size - file.tell())))
        with self.path.open("r+b") as file:
            self._note = mmap.mmap(file.fileno(), _NOTE.size)

    def newest_batch(self) -> int:
        """Return the newest batch that was committed to this file, 0 if none is known."""
        inode, batch = _NOTE.unpack_from(self._note)
        return int(batch) if inode == self._inode else 0

    def committed(self, batch: int) -> None:
        """Note a batch whose commit has returned."""
        _NOTE.pack_into(self._note, 0, self._inode, batch)


def note_path(database: Path) -> Path:
    """Return where the note of a database file lies."""
    return database.with_name(f"{database.name}-newest")
