"""
Damages the file of a killed Redis while clients trade, then judges as after any kill.

Redis holds what is not acknowledged, or can be made again. It forgives a file that is cut
short, refuses one that is broken in the middle, which an operator then moves away, and reads
a changed value without a word. Nothing that was acknowledged may be lost or doubled by any.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from simulation.kill.history import Tail
from simulation.kill.points import STRIKE_S, judge_trading, start_trading
from simulation.kill.world import World, world_of_run

REDIS = "redis"
# So many orders are decided between two strikes.
ANSWERS_BETWEEN = 50
CUT, BROKEN, GONE = "cut short", "broken in the middle", "gone"
KINDS = (CUT, BROKEN, GONE)


@dataclass(slots=True)
class RedisFileRun:
    """Each kind of damage so many times."""

    rounds: int
    seed: int = 1
    problems: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    counts: dict[str, int] = field(default_factory=dict)

    def run(self) -> bool:
        """Trade, kill and damage, judge; return whether nothing was lost or doubled."""
        chance = random.Random(self.seed)
        with world_of_run("exr-", self.problems) as world:
            history = world.directory / "gateway.jsonl"
            start_trading(world, history)
            for _ in range(self.rounds):
                for kind in KINDS:
                    self._strike(world, Tail(history), kind, chance)
            self.counts = judge_trading(world, history, self.problems)
        return not self.problems

    def lines(self) -> list[str]:
        """Return the report as text."""
        counted = ", ".join(f"{name} {number:,d}" for name, number in self.counts.items())
        refused = ", ".join(f"{kind} {number}" for kind, number in self.refused.items())
        return [
            f"seed {self.seed}: each of {', '.join(KINDS)} {self.rounds} times;"
            f" Redis refused its file: {refused}",
            counted,
            *(f"PROBLEM {problem}" for problem in self.problems),
        ]

    def _strike(self, world: World, tail: Tail, kind: str, chance: random.Random) -> None:
        world.kill(REDIS)
        _damage(world.directory, kind, chance)
        world.start(REDIS)
        world.wait(
            lambda: world.redis_answers() or not world.alive(REDIS), f"Redis, {kind}", STRIKE_S
        )
        if not world.alive(REDIS):
            self.refused[kind] += 1
            # What its message tells an operator to do who cannot repair it.
            _damage(world.directory, GONE, chance)
            world.start(REDIS)
        seen = tail.look()
        enough = seen + ANSWERS_BETWEEN
        world.wait(lambda: tail.look() >= enough, f"answers after a file {kind}", STRIKE_S)


def _damage(directory: Path, kind: str, chance: random.Random) -> None:
    """Damage what Redis has appended last, or remove its whole file."""
    if kind == GONE:
        shutil.rmtree(directory / "appendonlydir", ignore_errors=True)
        (directory / "appendonly.aof").unlink(missing_ok=True)
        return
    # A folder of files since Redis 7, one file before.
    parts = sorted(
        directory.glob("appendonlydir/*.incr.aof"), key=lambda path: path.stat().st_mtime
    )
    path = parts[-1] if parts else directory / "appendonly.aof"
    data = bytearray(path.read_bytes())
    if kind == CUT:
        data = data[: chance.randrange(len(data) // 2, len(data))]
    else:
        # The mark of a command's first word, somewhere in the middle half.
        at = data.rfind(b"\r\n*", 0, chance.randrange(len(data) // 4, 3 * len(data) // 4))
        data[at + 2] ^= 1
    path.write_bytes(data)
