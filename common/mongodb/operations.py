"""Where the backend finds our compilers."""

from django_mongodb_backend.operations import DatabaseOperations as BackendOperations


class DatabaseOperations(BackendOperations):
    """The backend's operations with the compilers of this package."""

    compiler_module = "common.mongodb.compiler"
