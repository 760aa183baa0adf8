"""
Settings of the suite on MongoDB.

Each worker of the suite has a server of its own, since SecantusDB loses transactions that two
clients begin at once; the first process that reads this starts that of the first worker.
``MONGODB_URI`` names another server, in which databases called ``test_...`` are made and removed.
"""

import atexit
import os

from simulation.mongo_server import MongoServer, NoMongoError

_URI = "TEST_MONGODB_URI"  # handed down to all workers
_STARTED = "TEST_MONGODB_STARTED"  # handed down to the first
_given = os.environ.get(_URI) or os.environ.get("MONGODB_URI", "")
if _given:
    os.environ[_URI] = _given
elif os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
    _given = os.environ.get(_STARTED, "")

from tests.settings import *  # noqa: E402, F403 - it takes MONGODB_URI out of the environment
from tests.settings import INSTALLED_APPS  # noqa: E402
from tradingplatform.mongodb import settings as mongodb  # noqa: E402

# Why no test can run, "" when all can.
DATABASE_MISSING = ""

if not _given:
    try:
        _server = MongoServer()
    except NoMongoError as _error:
        DATABASE_MISSING = str(_error)
    else:
        atexit.register(_server.remove)
        _server.start()
        os.environ[_STARTED] = _given = _server.url
if _given:
    DATABASES = {
        "default": mongodb.mongodb_settings(_given, name="exchange", pool_min=0, pool_max=100)
    }
    DATABASES["default"]["NAME"] = "exchange"
    # A server that leaves a question of the driver unanswered is slow here, not gone.
    DATABASES["default"]["OPTIONS"]["connectTimeoutMS"] = 15_000
    INSTALLED_APPS = mongodb.installed_apps(INSTALLED_APPS)
    MIGRATION_MODULES = mongodb.MIGRATION_MODULES
    SILENCED_SYSTEM_CHECKS = mongodb.SILENCED_SYSTEM_CHECKS
