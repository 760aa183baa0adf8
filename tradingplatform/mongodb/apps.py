"""
Apps of the framework on MongoDB, which numbers no rows: their keys are ObjectIds.

Our own models make their keys themselves and need nothing of this.
"""

from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig
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
