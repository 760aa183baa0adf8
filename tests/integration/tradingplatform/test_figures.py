"""The metrics page: who may see it, and what belongs to no process."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis as redis_module
from celery.beat import Scheduler as BaseScheduler
from django.conf import settings as django_settings
from django.test import Client

from common.jobs import JobRun, JobSending, record, record_sending, sendings, take_period
from common.metrics import Publication
from tradingplatform import health, platform_figures
from tradingplatform.beat import Scheduler
from tradingplatform.celery import app

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

TOKEN = "a-token-of-some-length"


def figures(publication: Publication) -> dict[str, float]:
    return {
        sample.name: sample.value for family in publication.families for sample in family.samples
    }


class TestWhoMaySee:
    def test_everybody_in_development(
        self, client: Client, redis_client: redis_module.Redis
    ) -> None:
        answer = client.get("/api/metrics", HTTP_X_FORWARDED_FOR="10.0.0.1")

        assert answer.status_code == 200
        assert b"redis_up" in answer.content

    def test_in_production_nobody_who_came_through_a_proxy(
        self, client: Client, redis_client: redis_module.Redis, settings: Any
    ) -> None:
        settings.PRODUCTION = True

        through = client.get("/api/metrics", HTTP_X_FORWARDED_FOR="10.0.0.1")
        directly = client.get("/api/metrics")

        assert (through.status_code, through.json()["error"]["code"]) == (404, "NOT_FOUND")
        assert directly.status_code == 200

    @pytest.mark.parametrize(
        ("offered", "status"),
        [
            ("", 404),
            (TOKEN, 404),
            (f"Bearer {TOKEN}x", 404),
            (f"bearer {TOKEN}", 404),
            ("Bearer é", 404),
            (f"Bearer {TOKEN}", 200),
        ],
    )
    def test_with_a_token_who_bears_it(
        self,
        client: Client,
        redis_client: redis_module.Redis,
        settings: Any,
        offered: str,
        status: int,
    ) -> None:
        settings.METRICS_TOKEN = TOKEN

        assert client.get("/api/metrics", HTTP_AUTHORIZATION=offered).status_code == status


class TestProbes:
    @pytest.mark.parametrize("path", ["/api/health", "/api/health/live", "/api/metrics"])
    def test_are_answered_under_the_address_of_a_pod(
        self, client: Client, redis_client: redis_module.Redis, path: str
    ) -> None:
        assert client.get(path, HTTP_HOST="10.1.2.3:3000").status_code == 200

    def test_nothing_else_is(self, client: Client) -> None:
        answer = client.get("/api/time", HTTP_HOST="10.1.2.3:3000")

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_HOST")


class TestPlatform:
    def test_shows_database_redis_disk_and_backup(self, redis_client: redis_module.Redis) -> None:
        ended = JobRun("backup", 1_000, 5.0, "success", success_ms=1_700_000_000_000)
        record(redis_client, ended)

        found = figures(platform_figures.publication())

        assert (found["database_up"], found["redis_up"], found["disk_up"]) == (1, 1, 1)
        assert found["exchange_quarantined"] == 0
        assert "database_bytes" in found
        assert found["redis_memory_bytes"] > 0
        assert found["disk_free_bytes"] > 0
        assert found["backup_last_success_timestamp_seconds"] == 1_700_000_000

    def test_what_does_not_answer_is_down_and_the_rest_is_shown(self, settings: Any) -> None:
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        found = figures(platform_figures.publication())

        assert found["redis_up"] == 0
        assert found["database_up"] == 1
        assert "redis_memory_bytes" not in found


class TestJobs:
    def test_the_first_run_of_a_period_works_and_no_other(
        self, redis_client: redis_module.Redis
    ) -> None:
        assert take_period("prune", 5, period_ms=3_600_000)
        assert not take_period("prune", 5, period_ms=3_600_000)
        assert take_period("prune", 6, period_ms=3_600_000)
        kept_ms = redis_client.pttl(redis_client.keys("*job:prune:5")[0])
        assert kept_ms > 3_600_000

    def test_a_job_that_never_ran_is_not_late(self, redis_client: redis_module.Redis) -> None:
        assert health.check_jobs().ok

    def test_a_late_job_degrades_the_platform(self, redis_client: redis_module.Redis) -> None:
        now_ms = time.time_ns() // 1_000_000
        record(redis_client, JobRun("riskengine.sweep", now_ms - 20_000, 1.0, "success"))
        record(redis_client, JobRun("orders.prune", now_ms - 20_000, 1.0, "success"))

        check = health.check_jobs()

        assert (check.ok, check.detail) == (False, "late: riskengine.sweep; failed: none")

    def test_late_jobs_are_counted_for_the_alert(self, redis_client: redis_module.Redis) -> None:
        before = figures(platform_figures.publication())["job_late"]
        day_ago_ms = time.time_ns() // 1_000_000 - 86_400_000
        for job in ("riskengine.sweep", "orders.prune"):
            record(redis_client, JobRun(job, day_ago_ms, 1.0, "success"))

        assert before == 0
        assert figures(platform_figures.publication())["job_late"] == 2

    def test_a_failed_job_is_named(self, redis_client: redis_module.Redis) -> None:
        now_ms = time.time_ns() // 1_000_000
        record(redis_client, JobRun("orders.prune", now_ms, 1.0, "failure", "DatabaseError"))

        check = health.check_jobs()

        assert (check.ok, check.detail) == (False, "late: none; failed: orders.prune")

    def test_readiness_says_when_each_ran_and_is_sent_again(
        self, client: Client, redis_client: redis_module.Redis
    ) -> None:
        now_ms = time.time_ns() // 1_000_000
        record(redis_client, JobRun("orders.prune", now_ms, 7.5, "success", success_ms=now_ms + 8))
        record_sending(redis_client, "riskengine.sweep", JobSending(now_ms - 60_000, now_ms))

        answer = client.get("/api/health/ready").json()

        jobs = {job["name"]: job for job in answer["jobs"]}
        assert len(jobs) == len(django_settings.CELERY_BEAT_SCHEDULE)
        assert jobs["orders.prune"] == {
            "name": "orders.prune",
            "period": 3_600_000,
            "last_run": now_ms,
            "last_duration": 7.5,
            "last_outcome": "success",
            "last_success": now_ms + 8,
            "next_run": now_ms + 3_600_000,
            "late": False,
        }
        swept = jobs["riskengine.sweep"]
        assert (swept["last_run"], swept["next_run"], swept["late"]) == (None, now_ms + 1_000, True)
        assert answer["checks"]["jobs"] == {
            "ok": False,
            "detail": "late: riskengine.sweep; failed: none",
        }

    def test_readiness_has_no_jobs_while_redis_is_away(self, client: Client, settings: Any) -> None:
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        assert client.get("/api/health/ready").json()["jobs"] == []

    def test_beat_says_when_it_sent_a_job_and_remembers_when_it_first_did(
        self, redis_client: redis_module.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record_sending(redis_client, "riskengine.sweep", JobSending(5, 6))
        sent: list[str] = []
        monkeypatch.setattr(
            BaseScheduler, "apply_async", lambda _self, entry, **_options: sent.append(entry.task)
        )
        before_ms = time.time_ns() // 1_000_000

        scheduler = Scheduler(app)
        for name in ("risk-sweep", "orders.prune"):
            scheduler.apply_entry(scheduler.schedule[name])

        found = sendings(redis_client)
        assert sent == ["riskengine.sweep", "orders.prune"]
        assert found["riskengine.sweep"].first_ms == 5
        assert found["riskengine.sweep"].last_ms >= before_ms
        assert found["orders.prune"].first_ms == found["orders.prune"].last_ms >= before_ms
