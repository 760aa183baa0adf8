"""Connections of the framework in threads that serve no request, and in requests that wait."""

from __future__ import annotations

from django.db import connections


def give_back_connections() -> None:
    """
    Give this thread's connections back to their pools; the next query takes another.

    Does nothing inside a transaction, and nothing on SQLite, whose connections are the
    thread's own and cannot break.
    """
    for connection in connections.all(initialized_only=True):
        if connection.vendor == "postgresql" and not connection.in_atomic_block:
            connection.close()
