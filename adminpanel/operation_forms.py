"""Forms made from the fields of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.operation_fields import (
    REASON,
    FieldKind,
    OperationField,
    text_of_value,
    value_of_text,
)
from accounts.serializers import CODE_LENGTH_MAX
from common.error_catalog import catalog
from common.errors import ApiError

_MESSAGES = {code.code: code.message for code in catalog()}
# Long enough for every field; the fields themselves say what they take.
_TEXT_MAX = 8_192


def _form_field(field: OperationField) -> forms.Field:
    """Return a field of text; the operation's own field judges what is in it."""
    options: dict[str, Any] = {
        "label": field.label + ("" if field.required else " (optional)"),
        "help_text": field.description,
        # Also for what must be given: the operation's refusal says so, as over REST.
        "required": False,
    }
    if field.kind in (FieldKind.CHOICE, FieldKind.FLAG):
        named = field.choices or ("true", "false")
        shown = {"true": "Yes", "false": "No"} if field.kind is FieldKind.FLAG else {}
        choices = [("", "—"), *((name, shown.get(name, name)) for name in named)]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **options)
    if field.kind in (FieldKind.ROWS, FieldKind.LONG_TEXT):
        widget: forms.Widget = UnfoldAdminTextareaWidget(
            attrs={"rows": 12 if field.kind is FieldKind.ROWS else 3}
        )
    else:
        widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    return forms.CharField(max_length=_TEXT_MAX, widget=widget, **options)


class FieldsForm(forms.Form):
    """A form of an operation's fields; ``body`` is what REST would have been sent."""

    def __init__(
        self,
        fields: tuple[OperationField, ...],
        data: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        """Show these fields, filled in with what JSON values say."""
        self._declared = {field.name: field for field in fields}
        shown = {
            name: text_of_value(self._declared[name], value)
            for name, value in (initial or {}).items()
            if name in self._declared
        }
        self._before = shown
        super().__init__(data, initial=shown)
        for field in fields:
            self.fields[field.name] = _form_field(field)

    def body(self) -> dict[str, Any]:
        """Return what was entered as a body of JSON; what is empty or stays is left out."""
        return {name: value_of_text(self._declared[name], text) for name, _, text in self.entered()}

    def refuse(self, error: ApiError) -> None:
        """Show a refusal at the fields that it names, else above the form."""
        named = {name: code for name, code in (error.fields or {}).items() if name in self.fields}
        for name, code in named.items():
            self.add_error(name, _MESSAGES.get(code, code))
        if not named:
            self.add_error(None, f"{error.message} ({error.code})")

    def entered(self) -> list[tuple[str, str, str]]:
        """
        Return name, label and text of everything that was entered.

        A value that stays as it was is left out where it may be: it may have been changed by
        somebody else since the form was shown.
        """
        return [
            (name, field.label, self.cleaned_data[name])
            for name, field in self._declared.items()
            if self.cleaned_data.get(name) and (field.required or not self._stays(name))
        ]

    @property
    def changes_nothing(self) -> bool:
        """Return whether a form that was filled in came back as it was."""
        given = {name for name, _, _ in self.entered()}
        return bool(self._before) and given <= {REASON.name}

    def _stays(self, name: str) -> bool:
        now = "\n".join(str(self.cleaned_data[name]).splitlines()).strip()
        return now == self._before.get(name, "").strip()


class CodeForm(forms.Form):
    """A code of the second factor."""

    code = forms.CharField(
        label="Code of your second factor",
        max_length=CODE_LENGTH_MAX,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code"}),
    )


class DecisionForm(FieldsForm):
    """Why a request is agreed to or rejected."""

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        """Ask for the reason alone."""
        super().__init__((REASON,), data)
