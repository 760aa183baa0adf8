"""What MongoDB can do for us beyond what its Django backend declares."""

from django_mongodb_backend.features import DatabaseFeatures as BackendFeatures


class DatabaseFeatures(BackendFeatures):
    """With ``bulk_create`` that passes over or replaces what is there (``compiler``)."""

    supports_ignore_conflicts = True
    supports_update_conflicts = True
    supports_update_conflicts_with_target = True
