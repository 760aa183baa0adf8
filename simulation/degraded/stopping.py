"""
One order is followed through all logs; another waits, with a socket, while processes stop.

The first is found by its request's id. Then a web process and an exchange are asked to stop.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from simulation.degraded.platform import Platform
from simulation.degraded.probes import PATIENCE_S, Listener, Probes
from simulation.kill.world import START_S, World

# What an order passes through, in this order.
FOLLOWED = ("web", "exchange", "projector")


def follow_and_stop() -> dict[str, object]:
    """Return whose logs knew an order, what order and socket got, and how both processes ended."""
    os.environ["LOG_LEVEL"] = "error"
    directory = Path(tempfile.mkdtemp(prefix="exs-"))
    platform = Platform(directory)
    world = platform.world
    world.environment["LOG_LEVEL"] = "debug"
    try:
        probes = platform.start(())
        told = follow_order(world, probes)
        exchange, web = world.processes["exchange"], world.processes["web"]
        with probes.listener() as listener, ThreadPoolExecutor() as pool:
            before = platform.newest_order_entry()
            exchange.send_signal(signal.SIGSTOP)
            order = pool.submit(probes.actions["place"])
            world.wait(lambda: platform.newest_order_entry() != before, "the order is sent")
            web.send_signal(signal.SIGTERM)
            notice, close_code = last_words(listener)
            exchange.send_signal(signal.SIGCONT)
            return told | {
                "order": order.result(),
                "notice": notice,
                "close code": close_code,
                "web": web.wait(PATIENCE_S),
                "exchange": world.ask_to_stop("exchange"),
            }
    finally:
        platform.end()
        shutil.rmtree(directory, ignore_errors=True)


def follow_order(world: World, probes: Probes) -> dict[str, object]:
    """
    Place an order under an id, and return what logs tell of it and of its sender's token.

    Raises:
        SystemExit: if a process of ``FOLLOWED`` never names the id, or the projector is silent.
    """
    with probes.listener() as listener:
        if not listener.gets_snapshot(START_S):
            raise SystemExit("the projector has published nothing")
    request_id = f"followed-{secrets.token_hex(8)}"
    outcome = probes.place_under(request_id)
    world.wait(
        lambda: all(request_id in world.output(name) for name in FOLLOWED),
        f"{request_id} stands in the logs of {FOLLOWED}",
    )
    logs = "".join(world.output(name) for name in world.processes)
    return {"followed": outcome, "token is told": probes.token in logs}


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
    print(json.dumps(follow_and_stop()))
