"""
Make the core of an exchange process raise, for tests that start real processes.

Python imports this by itself where its directory stands first in ``PYTHONPATH``. While the
file that ``CORE_FAULT_FILE`` names exists, an order whose client id begins with ``fault`` meets
a bug in the core; without the file the same order is an ordinary one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

TARGET = "exchange.core.engine"


class FaultyEngine(MetaPathFinder, Loader):
    """Finds the core's engine as usual and puts the fault into it."""

    def __init__(self) -> None:
        self._found: Any = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the engine's specification with this object as its loader."""
        if name != TARGET:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        self._found, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the usual loader."""
        return self._found.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        """Load the engine and make its ``apply`` raise on demand."""
        self._found.exec_module(module)
        engine = module.Exchange
        apply, switch = engine.apply, os.environ["CORE_FAULT_FILE"]

        def apply_or_fail(exchange: Any, envelope: Any) -> Any:
            marked = str(getattr(envelope.command, "client_order_id", "")).startswith("fault")
            if marked and os.path.exists(switch):
                raise ZeroDivisionError("a fault put in by a test")
            return apply(exchange, envelope)

        engine.apply = apply_or_fail


if "CORE_FAULT_FILE" in os.environ:
    sys.meta_path.insert(0, FaultyEngine())
