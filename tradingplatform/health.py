"""Health of this process and of everything it depends on."""

import hmac
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common import metrics as process_metrics
from common.db import ping
from common.errors import not_found
from common.jobs import JobState, job_states
from common.redis import client as redis_client
from common.views import error_response
from common.ws import topics
from exchange import gateway
from markets.enums import PriceState
from markets.feeds.health import feed_health
from markets.selectors import markets_all
from tradingplatform import metrics, platform_figures

# Commands waiting beyond which new work would not be answered in time.
LAG_MAX = 5_000
NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check; ``detail`` is for people."""

    ok: bool
    detail: str


def check_database() -> Check:
    """Ask the database for an answer."""
    return Check(True, ping())


def check_redis() -> Check:
    """Ask Redis for an answer; the time it took is the detail."""
    started = time.perf_counter()
    redis_client().ping()
    return Check(True, f"{(time.perf_counter() - started) * 1000:.1f} ms")


def check_exchange() -> Check:
    """Check that a leader lives, has loaded its state and keeps up."""
    status = gateway.status()
    if status.down or not status.leader:
        return Check(False, f"no leader ({status.phase or 'not started'})")
    detail = f"epoch {status.epoch}, command {status.command_number}, lag {status.lag}"
    return Check(status.lag <= LAG_MAX, f"{detail}, {status.phase}")


def check_projector() -> Check:
    """Check that somebody builds books, tickers and candles from the events."""
    if redis_client().exists(topics.leader_key()):
        return Check(True, "publishing")
    return Check(False, "nobody publishes live data")


def check_feed() -> Check:
    """Check that index prices come; halted prices halt trading."""
    health = feed_health()
    if health is None:
        return Check(False, "nobody feeds prices")
    state = health.worst_state()
    return Check(state is not PriceState.HALTED, f"{health.mode}, {state.value}: {health.note}")


def check_markets() -> Check:
    """Check that there is something to trade."""
    count = len(markets_all())
    return Check(count > 0, f"{count} markets")


def jobs_now() -> list[JobState]:
    """
    Return how each periodic job stands.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    schedule = settings.CELERY_BEAT_SCHEDULE.values()
    return job_states(redis_client(), schedule, now_ms=time.time_ns() // 1_000_000)


def check_jobs() -> Check:
    """Check that background jobs run: the worst of what beat sends."""
    states = jobs_now()
    late = [state.job for state in states if state.is_late]
    ran = {state.job: state.last for state in states if state.last is not None}
    failed = [job for job, run in ran.items() if run.outcome == "failure" and job not in late]
    if late or failed:
        parts = (("late", late), ("failed", failed))
        return Check(False, "; ".join(f"{what}: {', '.join(on) or 'none'}" for what, on in parts))
    return Check(True, f"{len(ran)} of {len(states)} jobs have run")


CHECKS: dict[str, Callable[[], Check]] = {
    "database": check_database,
    "redis": check_redis,
    "exchange": check_exchange,
    "projector": check_projector,
    "feed": check_feed,
    "markets": check_markets,
    "jobs": check_jobs,
}
# Trading goes on without these: they make the platform "degraded", not unavailable.
OPTIONAL = frozenset({"jobs"})


def check_all() -> dict[str, Check]:
    """Run every check; one that raises has failed."""
    results = {}
    for name, check in CHECKS.items():
        try:
            results[name] = check()
        except (DatabaseError, redis.RedisError, OSError) as error:
            results[name] = Check(False, type(error).__name__)
    return results


def jobs_report() -> list[dict[str, Any]]:
    """Return each periodic job as the readiness shows it; nothing while Redis is away."""
    try:
        return [_told(state) for state in jobs_now()]
    except (redis.RedisError, OSError):
        return []


def _told(state: JobState) -> dict[str, Any]:
    last = state.last
    return {
        "name": state.job,
        "period": state.period_ms,
        "last_run": last.started_ms if last else None,
        "last_duration": last.duration_ms if last else None,
        "last_outcome": last.outcome if last else None,
        "last_success": last.success_ms or None if last else None,
        "next_run": state.due_ms,
        "late": state.is_late,
    }


_OUTCOME = "success or failure"
_BEGAN = "When the last run that ended began, ms UTC."
_DUE = "When it is sent next, ms UTC; past while nothing is sent."
_STATUS = inline_serializer("Health", {"status": serializers.CharField()})
_READINESS = inline_serializer(
    "Readiness",
    {
        "status": serializers.CharField(),
        "checks": serializers.DictField(
            child=inline_serializer(
                "HealthCheck",
                {"ok": serializers.BooleanField(), "detail": serializers.CharField()},
            )
        ),
        "jobs": inline_serializer(
            "HealthJob",
            {
                "name": serializers.CharField(),
                "period": serializers.IntegerField(help_text="ms"),
                "last_run": serializers.IntegerField(allow_null=True, help_text=_BEGAN),
                "last_duration": serializers.FloatField(allow_null=True, help_text="ms"),
                "last_outcome": serializers.CharField(allow_null=True, help_text=_OUTCOME),
                "last_success": serializers.IntegerField(allow_null=True, help_text="ms UTC"),
                "next_run": serializers.IntegerField(allow_null=True, help_text=_DUE),
                "late": serializers.BooleanField(),
            },
            many=True,
        ),
    },
)


class _PublicView(APIView):
    """Open to everyone and outside the request limits: probes must always get an answer."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []


class HealthView(_PublicView):
    """Whether the process answers."""

    @extend_schema(operation_id="health", tags=["health"], responses=_STATUS)
    def get(self, request: Request) -> Response:
        """Answer without asking anything else."""
        return Response({"status": "ok"}, headers=NO_STORE)


class LiveView(_PublicView):
    """Liveness: whether the process is to be restarted. Never asks the database."""

    @extend_schema(operation_id="health_live", tags=["health"], responses=_STATUS)
    def get(self, request: Request) -> Response:
        """Answer without asking anything else."""
        return Response({"status": "ok"}, headers=NO_STORE)


class ReadyView(_PublicView):
    """
    Readiness: whether everything that trading needs works; 503 with the reasons if not.

    What trading can do without leaves it 200 and "degraded".
    """

    @extend_schema(
        operation_id="health_ready",
        tags=["health"],
        responses={200: _READINESS, 503: _READINESS},
    )
    def get(self, request: Request) -> Response:
        """Check every dependency."""
        checks = check_all()
        ready = all(check.ok for name, check in checks.items() if name not in OPTIONAL)
        whole = all(check.ok for check in checks.values())
        response = Response(
            {
                "status": ("ok" if whole else "degraded") if ready else "unavailable",
                "checks": {name: asdict(check) for name, check in checks.items()},
                "jobs": jobs_report(),
            },
            status=200 if ready else 503,
            headers=NO_STORE,
        )
        # The answer is the report; a probe each second would fill the log with it.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def metrics_view(request: HttpRequest) -> HttpResponse:
    """
    Answer the figures of all processes in Prometheus' text format.

    With ``METRICS_TOKEN`` only to who bears it. Without one, production answers those alone
    that came past no proxy, since whoever comes through one may be anybody.
    """
    if not _may_see_metrics(request):
        return error_response(not_found())
    try:
        publications = [*process_metrics.read(redis_client()), platform_figures.publication()]
    except (redis.RedisError, OSError):
        # Prometheus shall see that the page is gone rather than an empty platform.
        return HttpResponse("# Redis does not answer\n", status=503, content_type="text/plain")
    return HttpResponse(
        metrics.render(publications),
        content_type="text/plain; version=0.0.4; charset=utf-8",
        headers=NO_STORE,
    )


def _may_see_metrics(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    if token:
        offered = request.META.get("HTTP_AUTHORIZATION", "")
        return hmac.compare_digest(offered.encode(), f"Bearer {token}".encode())
    return not (settings.PRODUCTION and "HTTP_X_FORWARDED_FOR" in request.META)
