"""What emptying all collections costs on MongoDB, and what it leaves."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import FeeTier
from tests.support.databases import OwnDatabase

if connection.vendor != "mongodb":
    pytest.skip("about MongoDB; others have none of it", allow_module_level=True)

NAMES = ContentType._meta.db_table


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0)


def named_models() -> list[tuple[str, str]]:
    return sorted(ContentType.objects.values_list("app_label", "model"))


def all_models() -> list[tuple[str, str]]:
    return sorted(
        (model._meta.app_label, str(model._meta.model_name)) for model in apps.get_models()
    )


def test_migrations_name_each_model_once(own_database: OwnDatabase) -> None:
    first = named_models()

    call_command("migrate", verbosity=0)

    assert first == all_models()
    assert named_models() == first


class TestFlush:
    def test_leaves_the_names_of_models_and_nothing_else(self, own_database: OwnDatabase) -> None:
        FeeTier.objects.create(id=1, maker_rate_e8=10, taker_rate_e8=20)

        flush()

        filled = {
            name
            for name in connection.introspection.django_table_names(only_existing=True)
            if connection.database[name].find_one() is not None
        }
        assert filled == {NAMES}
        assert named_models() == all_models()

    def test_asks_all_collections_at_once(self, own_database: OwnDatabase) -> None:
        FeeTier.objects.create(id=1, maker_rate_e8=10, taker_rate_e8=20)

        with CaptureQueriesContext(connection) as queries:
            flush()

        done = [query["sql"].partition("(")[0] for query in queries]
        operations = [name.rpartition(".")[2] for name in done if name.startswith("db.")]
        assert operations == [
            *("aggregate", "delete_many", "delete_many"),
            *("aggregate", "insert_many"),
        ]
