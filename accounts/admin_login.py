"""The back-office's login form: the theme's, with a field for the second factor."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.serializers import CODE_LENGTH_MAX


class LoginForm(AuthenticationForm):
    """User name or e-mail address, password, and a code where the user has a second factor."""

    code = forms.CharField(
        label="Code of the second factor",
        required=False,
        max_length=CODE_LENGTH_MAX,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code"}),
    )

    def clean(self) -> dict[str, Any]:
        """
        Return the fields if they let a member of staff in.

        Raises:
            ValidationError: otherwise.
        """
        username, password = (self.cleaned_data.get(name) for name in ("username", "password"))
        if username and password:
            self.user_cache = authenticate(
                self.request,
                username=username,
                password=password,
                code=self.cleaned_data.get("code", ""),
            )
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data
