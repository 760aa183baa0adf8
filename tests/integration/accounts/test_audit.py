"""The audit log proves itself, and any tampering names the first broken event."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.models import F

from accounts import audit
from accounts.enums import Role
from accounts.models import AuditEvent, AuditHead, User
from accounts.services import user_create
from common.db import atomic
from common.testing import ApiClient, error_code
from tests.support.tampering import alter, insert_copy, remove, rows


def record(number: int = 0, **given: Any) -> AuditEvent:
    return audit.record(
        **{
            "actor": "tests",
            "action": "user.role_change",
            "target": f"user:{number}",
            "before": {"role": "trader"},
            "after": {"role": "support"},
            "reason": "ticket 7",
            "ip": "203.0.113.9",
            "request_id": f"request-{number}",
            **given,
        }
    )


def verify(*options: str) -> tuple[int, str]:
    """Return exit code and line of ``manage.py verify_audit_log``."""
    out = StringIO()
    try:
        call_command("verify_audit_log", *options, stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue().strip()
    return 0, out.getvalue().strip()


@pytest.fixture
def chain(db: Any) -> list[AuditEvent]:
    return [record(number) for number in range(1, 6)]


class TestRecord:
    def test_numbers_events_without_gaps_and_seals_each_onto_the_last(self, chain):
        assert [event.id for event in chain] == [1, 2, 3, 4, 5]
        assert chain[0].previous_seal == audit.GENESIS
        assert [event.previous_seal for event in chain[1:]] == [event.seal for event in chain[:-1]]
        assert verify() == (0, f"ok: 5 events, anchor 5:{chain[4].seal}")

    def test_keeps_who_what_why_and_from_where(self, db):
        user = user_create(username="olga", email="olga@example.com", password="correct horse 9")

        number = record(actor=user).id

        event = AuditEvent.objects.get(id=number)
        assert (event.actor_id, event.actor) == (user.id, "olga")
        assert (event.action, event.target) == ("user.role_change", "user:0")
        assert json.loads(event.before) == {"role": "trader"}
        assert json.loads(event.after) == {"role": "support"}
        assert (event.reason, event.ip, event.request_id) == (
            "ticket 7",
            "203.0.113.9",
            "request-0",
        )

    def test_vanishes_with_the_transaction_that_it_belongs_to(self, chain):
        def change() -> None:
            with atomic():
                record(6)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            change()

        assert AuditEvent.objects.count() == 5
        assert verify()[0] == 0

    def test_never_keeps_a_secret(self, db):
        event = record(after={"password": "canary-1", "keys": [{"api_secret": "canary-2"}]})

        assert json.loads(event.after) == {"password": "***", "keys": [{"api_secret": "***"}]}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"action": "role change"},
            {"action": "role"},
            {"target": "user"},
            {"target": "user:" + "9" * 100},
            {"reason": "r" * 501},
            {"after": {"note": "n" * 9_000}},
        ],
    )
    def test_refuses_what_is_malformed_and_writes_nothing(self, chain, wrong):
        with pytest.raises(ValueError, match="expected"):
            record(**wrong)

        assert AuditEvent.objects.count() == 5
        assert AuditHead.objects.get().number == 5

    def test_nothing_is_changed_or_deleted_through_the_orm(self, chain):
        event = AuditEvent.objects.get(id=3)
        event.reason = "another"

        for attempt in (
            event.save,
            event.delete,
            AuditEvent.objects.all().delete,
            lambda: AuditEvent.objects.filter(id=3).update(reason="another"),
            lambda: AuditEvent.objects.bulk_update([event], ["reason"]),
            lambda: AuditEvent._base_manager.filter(id=3).update(reason="another"),
        ):
            with pytest.raises(TypeError, match="append-only"):
                attempt()

        assert AuditEvent.objects.count() == 5
        assert AuditEvent.objects.get(id=3).reason == "ticket 7"


class TestConcurrency:
    def test_twenty_writers_at_once_make_one_chain(self, own_database):
        start = threading.Barrier(20)

        def write(number: int) -> None:
            try:
                start.wait(20)
                with atomic():
                    record(number)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(write, range(20)))

        assert set(AuditEvent.objects.values_list("target", flat=True)) == {
            f"user:{number}" for number in range(20)
        }
        assert verify()[1].startswith("ok: 20 events")

    def test_whoever_finds_the_head_moved_seals_onto_the_new_one(self, chain, monkeypatch):
        sealed, interrupted = audit.seal_of, []

        def interrupt(event: AuditEvent, key: bytes) -> str:
            if not interrupted:
                interrupted.append(event.id)
                record(7)
            return sealed(event, key)

        monkeypatch.setattr(audit, "seal_of", interrupt)
        event = record(8)

        assert (interrupted, event.id) == ([6], 7)
        assert verify() == (0, f"ok: 7 events, anchor 7:{event.seal}")


def swap(one: int, other: int) -> None:
    """Let two events take each other's number."""
    events = [rows(AuditEvent, id=number).get() for number in (one, other)]
    remove(AuditEvent, id__in=[one, other])
    for event, number in zip(events, (other, one), strict=True):
        event.id = number
    AuditEvent.objects.bulk_create(events)


class TestVerify:
    @pytest.mark.parametrize(
        ("_case", "tamper", "fault"),
        [
            *(
                (
                    f"altered {column}",
                    partial(alter, AuditEvent, {"id": 3}, **{column: value}),
                    "event 3 was altered or inserted",
                )
                for column, value in {
                    "time_ms": F("time_ms") + 1,
                    "actor_id": 7,
                    "actor": "mallory",
                    "action": "user.login",
                    "target": "user:9",
                    "before": "",
                    "after": "{}",
                    "reason": "",
                    "ip": "",
                    "request_id": "",
                    "previous_seal": "0" * 64,
                    "seal": "0" * 64,
                }.items()
            ),
            ("deleted", partial(remove, AuditEvent, id=3), "event 3 was deleted"),
            ("deleted first", partial(remove, AuditEvent, id=1), "event 1 was deleted"),
            ("deleted last", partial(remove, AuditEvent, id=5), "event 5 was deleted"),
            ("deleted all", partial(remove, AuditEvent), "event 1 was deleted"),
            (
                "inserted in front",
                partial(insert_copy, AuditEvent, 3, id=0),
                "event 0 was inserted",
            ),
            (
                "inserted behind",
                partial(insert_copy, AuditEvent, 3, id=6),
                "event 6 was altered or inserted",
            ),
            ("head removed", partial(remove, AuditHead), "event 1 was inserted"),
            ("two swapped", partial(swap, 3, 4), "event 3 was altered or inserted"),
        ],
    )
    def test_names_the_first_broken_event(self, chain, _case, tamper, fault):
        tamper()

        code, line = verify()

        assert code == 1
        assert line.startswith(f"BROKEN: {fault}")

    def test_an_anchor_notices_a_log_cut_off_together_with_its_head(self, chain):
        remove(AuditEvent, id__gt=3)
        alter(AuditHead, number=3, seal=chain[2].seal)

        assert verify()[0] == 0
        code, line = verify("--anchor", f"5:{chain[4].seal}")

        assert code == 1
        assert line.startswith("BROKEN: event 4 was deleted: event 5 was noted")

    def test_an_anchor_notices_a_chain_written_anew(self, chain):
        remove(AuditEvent, id__gt=3)
        alter(AuditHead, number=3, seal=chain[2].seal)
        record(14)
        record(15)

        code, line = verify("--anchor", f"5:{chain[4].seal}")

        assert code == 1
        assert line.startswith("BROKEN: event 5 was replaced")

    def test_a_seal_needs_the_key(self, chain, settings):
        settings.AUDIT_KEYS = ["of somebody who reached the database only"]
        forged = AuditEvent.objects.get(id=3)
        forged.reason = "forged"
        seal = audit.seal_of(forged, audit.keys()[0])
        alter(AuditEvent, {"id": 3}, reason="forged", seal=seal)
        settings.AUDIT_KEYS = []

        assert verify()[1].startswith("BROKEN: event 3 was altered")

    def test_a_new_key_seals_on_while_the_old_one_verifies(self, chain, settings):
        settings.AUDIT_KEYS = ["new", settings.SECRET_KEY]
        record(6)

        assert verify()[1].startswith("ok: 6 events")
        settings.AUDIT_KEYS = ["new"]
        assert verify()[1].startswith("BROKEN: event 1 was altered")

    def test_a_malformed_anchor_is_refused(self, chain):
        with pytest.raises(CommandError, match="expected NUMBER:SEAL"):
            verify("--anchor", "5")


class TestRest:
    @pytest.fixture
    def users(self, db: Any) -> dict[Role, ApiClient]:
        clients = {}
        for role in Role:
            user_create(
                username=f"user_{role}",
                email=f"{role}@example.com",
                password="correct horse 9",
                role=role,
            )
            answer = ApiClient().post(
                "/api/auth/login", {"username": f"user_{role}", "password": "correct horse 9"}
            )
            clients[role] = ApiClient(answer.json()["access_token"])
        return clients

    @pytest.mark.parametrize("role", list(Role))
    def test_only_auditors_and_administrators_read_it(self, inline_exchange, users, role):
        answer = users[role].get("/api/admin/audit-logs")

        if role in (Role.AUDITOR, Role.ADMIN):
            assert answer.status_code == 200
        else:
            assert (answer.status_code, error_code(answer)) == (403, "PERMISSION_DENIED")

    def test_pages_from_the_newest_to_the_first(self, inline_exchange, users):
        for number in range(5):
            record(number, actor="pager")
        first, seen, query = "/api/admin/audit-logs?actor=pager&limit=2", [], ""

        while query is not None:
            page = users[Role.AUDITOR].get(first + query).json()
            seen += [item["target"] for item in page["items"]]
            query = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None

        assert seen == ["user:4", "user:3", "user:2", "user:1", "user:0"]

    def test_shows_the_event_as_it_was_recorded(self, inline_exchange, users):
        actor = User.objects.get(username="user_admin")
        event = record(3, actor=actor)

        items = users[Role.AUDITOR].get("/api/admin/audit-logs?target=user:3").json()["items"]

        assert items == [
            {
                "number": str(event.id),
                "time": event.time_ms,
                "actor": "user_admin",
                "actor_id": str(actor.id),
                "action": "user.role_change",
                "target": "user:3",
                "before": {"role": "trader"},
                "after": {"role": "support"},
                "reason": "ticket 7",
                "ip": "203.0.113.9",
                "request_id": "request-3",
                "seal": event.seal,
            }
        ]

    def test_an_unknown_filter_is_refused(self, inline_exchange, users):
        answer = users[Role.AUDITOR].get("/api/admin/audit-logs?who=me")

        assert (answer.status_code, error_code(answer)) == (400, "INVALID_PARAMETER")
