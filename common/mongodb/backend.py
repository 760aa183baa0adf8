"""
The Django backend that the engine stands on, loaded without its part for geometry.

That part looks for GDAL under a dozen names, three times, and each look runs ldconfig, gcc and
ld: 0.4 of the 1.6 s in which a process starts, and seconds on a machine that has much to do. Where
nothing is found the backend goes on with parts that are empty, as they are here.
"""

import sys
from types import ModuleType

_GEOMETRY = {
    "features": ("GISFeatures", type("GISFeatures", (), {})),
    "operations": ("GISOperations", type("GISOperations", (), {})),
    "lookups": ("register_lookups", lambda: None),
}
for _module, (_name, _empty) in _GEOMETRY.items():
    _path = f"django_mongodb_backend.gis.{_module}"
    if _path not in sys.modules:
        sys.modules[_path] = ModuleType(_path)
        setattr(sys.modules[_path], _name, _empty)

from django_mongodb_backend.base import DatabaseWrapper  # noqa: E402

__all__ = ["DatabaseWrapper"]
