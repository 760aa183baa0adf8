"""A web process and an exchange are asked to stop while an order and a socket wait."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from simulation.degraded.platform import Platform
from simulation.degraded.probes import PATIENCE_S, Listener


def stop_gracefully() -> dict[str, object]:
    """Return what order and socket got, and how both processes ended."""
    os.environ["LOG_LEVEL"] = "error"
    directory = Path(tempfile.mkdtemp(prefix="exs-"))
    platform = Platform(directory)
    world = platform.world
    try:
        probes = platform.start(())
        exchange, web = world.processes["exchange"], world.processes["web"]
        with probes.listener() as listener, ThreadPoolExecutor() as pool:
            before = platform.newest_order_entry()
            exchange.send_signal(signal.SIGSTOP)
            order = pool.submit(probes.actions["place"])
            world.wait(lambda: platform.newest_order_entry() != before, "the order is sent")
            web.send_signal(signal.SIGTERM)
            notice, close_code = last_words(listener)
            exchange.send_signal(signal.SIGCONT)
            return {
                "order": order.result(),
                "notice": notice,
                "close code": close_code,
                "web": web.wait(PATIENCE_S),
                "exchange": world.ask_to_stop("exchange"),
            }
    finally:
        world.end()
        shutil.rmtree(directory, ignore_errors=True)


def last_words(listener: Listener) -> tuple[str, int]:
    """Return the code of the last notice of a socket and what it was closed with."""
    code = ""
    try:
        while True:
            frame = json.loads(listener.receive(PATIENCE_S))
            if frame["type"] == "notice":
                code = frame["code"]
    except ConnectionClosed as error:
        return code, error.rcvd.code if error.rcvd else 0


if __name__ == "__main__":
    print(json.dumps(stop_gracefully()))
