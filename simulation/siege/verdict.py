"""What an answer must be, whatever was asked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from simulation.siege.requests import Request

SLOW_S = 2.0
FAULTS_SHOWN_MAX = 20
# Too many at once, said so before anything was begun, with Retry-After.
OVERLOAD = frozenset({"LOGIN_BUSY", "ENGINE_BUSY"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``seconds`` from the first byte sent to the last received."""

    status: int
    content_type: str
    body: bytes
    seconds: float


@dataclass(slots=True)
class Verdict:
    """Counts answers and keeps those that no request may get."""

    tolerated: frozenset[str] = OVERLOAD
    statuses: Counter[int] = field(default_factory=Counter)
    unready: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    faults_found: int = 0

    @property
    def asked(self) -> int:
        """Return how many requests were answered."""
        return sum(self.statuses.values())

    def take(self, request: Request, answer: Answer) -> None:
        """Judge one answer."""
        self.statuses[answer.status] += 1
        self.sources[request.source] += 1
        self.slowest_s = max(self.slowest_s, answer.seconds)
        fault = self._fault(request, answer)
        if fault:
            self.blame(
                f"{fault}: {request.method} {request.target[:200]} {request.headers} "
                f"{request.body[:300]!r} -> {answer.status} {answer.body[:300]!r}"
            )

    def blame(self, fault: str) -> None:
        """Keep a fault."""
        self.faults_found += 1
        if len(self.faults) < FAULTS_SHOWN_MAX:
            self.faults.append(fault)

    def _fault(self, request: Request, answer: Answer) -> str:
        if answer.seconds > SLOW_S:
            return f"{answer.seconds:.1f} s"
        if request.method == "HEAD" or (not answer.body and answer.status < 400):
            return ""
        if not answer.content_type.startswith("application/json"):
            return "not JSON"
        try:
            body = json.loads(answer.body)
        except ValueError:
            return "broken JSON"
        if answer.status < 400:
            return ""
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict) or not {"code", "message", "request_id"} <= set(error):
            return self._fault_without_envelope(request, body)
        if answer.status >= 500:
            return self._fault_of_server(error["code"])
        return ""

    def _fault_without_envelope(self, request: Request, body: object) -> str:
        # Readiness tells its checks instead.
        if request.operation == "health_ready" and isinstance(body, dict) and "checks" in body:
            self.unready["not ready"] += 1
            return ""
        return "no envelope"

    def _fault_of_server(self, code: str) -> str:
        if code not in self.tolerated:
            return "server error"
        self.unready[code] += 1
        return ""

    def lines(self) -> list[str]:
        """Return what to print."""
        statuses = ", ".join(f"{status}: {n:,d}" for status, n in sorted(self.statuses.items()))
        sources = ", ".join(f"{n:,d} {source}" for source, n in sorted(self.sources.items()))
        return [
            f"{self.asked:,d} requests ({sources}); slowest {self.slowest_s * 1000:.0f} ms",
            f"answers {statuses}" + "".join(f"; {n} {code}" for code, n in self.unready.items()),
            *self.faults,
            f"{self.faults_found} faults",
        ]
