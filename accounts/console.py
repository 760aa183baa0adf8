"""Operations from a command line: whoever has a shell of the installation may do them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError

from accounts.enums import Role
from accounts.operation_fields import REASON, OperationField, value_of_text
from accounts.operation_runs import operation_run
from accounts.operations import Result, all_operations, call_of
from common.errors import ApiError
from common.exceptions import to_api_error

EXIT_REFUSED = 1


@dataclass(frozen=True, slots=True)
class Console:
    """Who acts from a shell; no user, so a second person can be anybody who may."""

    id: int = 0
    username: str = "console"
    role: str = Role.ADMIN
    account_id: int = 0


def add_fields(parser: argparse.ArgumentParser, fields: Iterable[OperationField]) -> None:
    """Let a command take the fields of an operation, and the reason."""
    for field in (*fields, REASON):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            required=field.required,
            choices=field.choices or None,
            help=field.description,
        )


def console_run(name: str, target: str, options: Mapping[str, Any]) -> Result:
    """
    Carry out an operation with a command's options, and return what became of it.

    Raises:
        CommandError: with the code of a refusal and the fields that it names.
    """
    operation = all_operations()[name]
    body = {
        field.name: value_of_text(field, str(options[field.name]))
        for field in operation.body_fields
        if options.get(field.name) is not None
    }
    try:
        return operation_run(call_of(operation, target, body, Console()))
    except Exception as error:
        refusal = to_api_error(error)
        if refusal is None:
            raise
        raise CommandError(_text(refusal), returncode=EXIT_REFUSED) from error


def _text(error: ApiError) -> str:
    fields = ", ".join(f"{name} {code}" for name, code in (error.fields or {}).items())
    return f"{error.code}: {error.message}" + (f" ({fields})" if fields else "")
