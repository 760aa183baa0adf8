"""
Plants the fault that ``SEEDED_FAULT`` numbers in a process, before anything else is imported.

A pytest plugin: ``SEEDED_FAULT=3 python -m pytest -p simulation.faults.planting ...``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from simulation.faults.catalogue import FAULTS, Fault

VARIABLE = "SEEDED_FAULT"


class PassageError(Exception):
    """A fault no longer fits the code: its passage is not there once."""


def planted(fault: Fault, source: str) -> str:
    """
    Return a module's source with the fault in it.

    Raises:
        PassageError: if the passage does not stand there exactly once.
    """
    times = source.count(fault.passage)
    if times != 1:
        raise PassageError(f"{fault.name}: {fault.module} has its passage {times} times")
    return source.replace(fault.passage, fault.instead)


class _Loader(SourceFileLoader):
    """Compiles a changed source; no bytecode is read or kept."""

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.module, path)
        self._fault = fault

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the changed source."""
        source = planted(self._fault, self.get_source(fullname))
        return compile(source, self.get_filename(fullname), "exec", dont_inherit=True)


class _Planter(MetaPathFinder):
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the one module with a loader of ours; leave all others to Python."""
        if fullname != self._fault.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(self._fault, spec.origin)
        return spec


def plant(fault: Fault) -> None:
    """
    Plant a fault in this process.

    Raises:
        PassageError: if its module is imported already.
    """
    if fault.module in sys.modules:
        raise PassageError(f"{fault.module} was imported before its fault was planted")
    sys.meta_path.insert(0, _Planter(fault))


if number := os.environ.get(VARIABLE):
    plant(FAULTS[int(number)])
