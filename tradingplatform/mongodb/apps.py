"""
Apps of the framework on MongoDB, which numbers no rows: their keys are ObjectIds.

Our own models make their keys themselves and need nothing of this.
"""

from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig
from django.contrib.contenttypes.management import create_contenttypes
from django.db.models.signals import post_migrate

_KEY = "django_mongodb_backend.fields.ObjectIdAutoField"


class MongoAdminConfig(SimpleAdminConfig):
    """The back-office and its log entries."""

    default_auto_field = _KEY


class MongoAuthConfig(AuthConfig):
    """Groups and permissions of the framework, which the platform does not use."""

    default_auto_field = _KEY

    def ready(self) -> None:
        """Prepare as always, but fill no collection with permissions that nobody has."""
        super().ready()
        post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


class MongoContentTypesConfig(ContentTypesConfig):
    """Names of models, to which log entries of the back-office refer."""

    default_auto_field = _KEY

    def ready(self) -> None:
        """Prepare as always, but name the models of all apps at once."""
        super().ready()
        post_migrate.disconnect(create_contenttypes)
        post_migrate.connect(_name_models, sender=self)


def _name_models(*, using: str, apps: Apps = global_apps, **_: Any) -> None:
    """
    Give each model without a name one.

    The framework's own does it app by app, with a question and a transaction for each.
    """
    try:
        names = apps.get_model("contenttypes", "ContentType").objects
    except LookupError:
        # Its migration was undone.
        return
    names.clear_cache()
    known = set(names.using(using).values_list("app_label", "model"))
    found = [(model._meta.app_label, str(model._meta.model_name)) for model in apps.get_models()]
    missing = [name for name in found if name not in known]
    names.using(using).bulk_create(
        [names.model(app_label=label, model=model) for label, model in missing]
    )
