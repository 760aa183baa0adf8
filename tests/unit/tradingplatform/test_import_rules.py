"""The core of the exchange is pure: it imports a few parts of the standard library and msgspec."""

import grimp

# Nothing here reads a clock, draws randomness or talks to anything.
ALLOWED = {
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "operator",
    "typing",
    "msgspec",
}


def test_core_imports_only_what_is_allowed() -> None:
    graph = grimp.build_graph("exchange", include_external_packages=True, cache_dir=None)
    core = {name for name in graph.modules if f"{name}.".startswith("exchange.core.")}

    imported = {
        target.split(".")[0]
        for module in core
        for target in graph.find_modules_directly_imported_by(module)
        if target not in core
    }

    assert len(core) > 5
    assert imported - ALLOWED == set()
