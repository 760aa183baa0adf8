"""
Peak goodput of the REST API, then ten times that offered, then back to normal.

As deployed: nginx in front with the deployment's configuration, but without TLS and without
the limits of one address, behind which the whole load would count as one client. The load
costs its share of the same machine, at the peak as under overload.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.kill.setup import prepare_exchange
from simulation.kill.world import World, free_port, python
from simulation.nginx_server import find_nginx, render
from simulation.procfile import command_of

TIMES = 10
GOODPUT_SHARE = 0.8
NORMAL_S = 5.0
# An order on an idle platform takes a tenth of it.
NORMAL_ANSWER_S = 0.5
PEAK_SECONDS = 8.0
PEAK_CONNECTIONS = 64
# More than may wait in the web process, and within the usual limit on open files.
CONNECTIONS = 900
# What may find every connection taken; with more, too little was offered to prove anything.
UNSENT_SHARE = 0.05
ALLOWED = frozenset({"201", "429", "503"})


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run measured: orders a second, and what the load got."""

    peak: float
    goodput: float
    load: dict[str, Any]
    normal_after_s: float


def problems_of(figures: Figures) -> list[str]:
    """Return what an overload must not do."""
    load = figures.load
    found = [
        f"{count} answers {status}"
        for status, count in load["answers"].items()
        if status not in ALLOWED
    ]
    found += [
        f"{load[what]} {what.replace('_', ' ')}"
        for what in ("without_retry_after", "unanswered", "broken")
        if load[what]
    ]
    offered = load["unsent"] + load["sent"]
    if load["unsent"] > UNSENT_SHARE * offered:
        found.append(f"{load['unsent']} of {offered} requests found no free connection")
    if figures.goodput < GOODPUT_SHARE * figures.peak:
        found.append(f"goodput was {figures.goodput / figures.peak:.0%} of the peak")
    if figures.normal_after_s > NORMAL_S:
        found.append(f"normal only {figures.normal_after_s:.1f} s after the load")
    return found


class OverloadRun:
    """One run against real processes, ``bare`` without nginx and by the server of development."""

    def __init__(self, seconds: float, *, bare: bool = False) -> None:
        """Prepare a directory; nothing is started yet. Unless ``bare``, nginx is needed."""
        self._bare = bare
        self._seconds = seconds
        self._world = World(Path(tempfile.mkdtemp(prefix="exo-")), pauses="")
        self._port = self._world.port
        self._token = ""
        self.figures: Figures | None = None
        self.problems: list[str] = []

    def run(self) -> bool:
        """Measure, overload, wait for normality; tell whether all held."""
        world = self._world
        try:
            self._start()
            _, login = prepare_exchange(world.url)
            self._token = login.partition(":")[2]
            self._load("warm", rate=0, connections=PEAK_CONNECTIONS, seconds=2.0)
            calm = self._load("peak", rate=0, connections=PEAK_CONNECTIONS, seconds=PEAK_SECONDS)
            peak = calm["answers"].get("201", 0) / calm["seconds"]
            load = self._load(
                "over", rate=peak * TIMES, connections=CONNECTIONS, seconds=self._seconds
            )
            normal_after_s = self._normal_after()
        finally:
            world.end()
        goodput = load["answers"].get("201", 0) / load["seconds"]
        self.figures = Figures(peak, goodput, load, normal_after_s)
        self.problems = problems_of(self.figures)
        if not self.problems:
            shutil.rmtree(world.directory, ignore_errors=True)
        return not self.problems

    def _start(self) -> None:
        world = self._world
        if self._bare:
            world.start_all()
        else:
            world.start_base()
            world.start("exchange")
            world.start_command("web", command_of("web"))
            world.wait(world.web_answers, "web answers")
            self._port = free_port()
            world.start_command("nginx", self._nginx())
            front = f"http://127.0.0.1:{self._port}"
            world.wait(lambda: world.web_answers(front), "nginx answers")
        world.start("projector")

    def _nginx(self) -> list[str]:
        directory = self._world.directory
        main = render(
            directory,
            {
                f"include {directory}/nginx/tls.conf;": "",
                "listen 8443 ssl http2": f"listen 127.0.0.1:{self._port}",
                "listen 8080": f"listen 127.0.0.1:{free_port()}",
                "server web:3000": f"server 127.0.0.1:{self._world.port}",
                "server ws:3000": f"server 127.0.0.1:{self._world.port}",
                "rate=200r/s": "rate=1000000r/s",
                "burst=400": "burst=100000",
                "/srv/static/": f"{directory}/",
                "worker_connections 16384": f"worker_connections {4 * CONNECTIONS}",
            },
        )
        return [find_nginx() or "nginx", "-c", str(main), "-g", "daemon off;"]

    def lines(self) -> list[str]:
        """Return what to print."""
        figures = self.figures
        if figures is None:
            return ["nothing was measured"]
        load = figures.load
        offered = load["sent"] + load["unsent"]
        return [
            f"peak {figures.peak:.0f} orders/s",
            f"offered {offered / load['seconds']:.0f}/s for {load['seconds']:.0f} s, of which"
            f" {load['unsent']} found no free connection",
            f"goodput {figures.goodput:.0f} orders/s, {figures.goodput / figures.peak:.0%} of peak",
            f"answers {load['answers']}, slowest {load['slowest_s']:.2f} s",
            f"normal {figures.normal_after_s:.2f} s after the load",
            *(f"PROBLEM {problem}" for problem in self.problems),
        ]

    def _load(self, tag: str, *, rate: float, connections: int, seconds: float) -> dict[str, Any]:
        job = {
            "host": "127.0.0.1",
            "port": self._port,
            "token": self._token,
            "tag": tag,
            "rate": rate,
            "connections": connections,
            "seconds": seconds,
        }
        done = subprocess.run(
            python("-m", "simulation.overload.load"),
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stderr[-2_000:])
            raise SystemExit(f"the load {tag} failed")
        measured: dict[str, Any] = json.loads(done.stdout)
        return measured

    def _normal_after(self) -> float:
        """Return the seconds until one order alone is accepted as fast as on an idle platform."""
        began = time.monotonic()
        number = 0
        while time.monotonic() - began <= 2 * NORMAL_S:
            number += 1
            one = self._load(f"normal{number}", rate=0, connections=1, seconds=0.2)
            if set(one["answers"]) == {"201"} and one["slowest_s"] < NORMAL_ANSWER_S:
                break
        return time.monotonic() - began
