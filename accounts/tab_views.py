"""The pages of a user's tabs in the back-office."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from accounts import services
from accounts.account_tabs import AccountTab, Subject, account_tabs
from accounts.models import User
from accounts.permissions import role_permits
from accounts.user_tabs import SESSION_FIELD
from common.db import read_snapshot
from common.ids import parse_id
from common.tables import FROM_VAR

REASON_LENGTH_MAX = 200


def tab_view(request: HttpRequest, object_id: str, slug: str, *, manages: Any) -> HttpResponse:
    """
    Answer one tab of a user; a POST ends one of the sessions that the tab shows.

    ``manages`` tells whether the actor may change a user.

    Raises:
        Http404: if there is no such user or tab.
        PermissionDenied: if the role may not see the tab, or not change this user.
    """
    user_id, tab = parse_id(object_id), account_tabs().get(slug)
    user = None if user_id is None else User.objects.filter(id=user_id).first()
    if user is None or tab is None:
        raise Http404
    actor: Any = request.user
    if not role_permits(actor.role, tab.permission):
        raise PermissionDenied
    if request.method == "POST":
        if slug != "sessions" or not manages(request, user):
            raise PermissionDenied
        return _end_session(request, user)
    return _page(request, user, tab)


def _page(request: HttpRequest, user: User, tab: AccountTab) -> HttpResponse:
    start = request.GET.get(FROM_VAR)
    start_id = parse_id(start)
    if start and start_id is None:
        raise Http404
    with read_snapshot():
        subject = Subject(user.pk, user.account_id, user.username)
        tables = tab.tables(subject, start_id)
    context = {
        **admin.site.each_context(request),
        "opts": User._meta,
        "title": f"{user.username}: {tab.title}",
        "tables": tables,
        "is_later_page": start_id is not None,
    }
    return TemplateResponse(request, "back_office/page.html", context)


def _end_session(request: HttpRequest, user: User) -> HttpResponse:
    actor: Any = request.user
    reason = request.POST.get("reason", "").strip()
    session_id = parse_id(request.POST.get(SESSION_FIELD))
    if not 1 <= len(reason) <= REASON_LENGTH_MAX:
        messages.error(request, f"A reason of 1 to {REASON_LENGTH_MAX} characters is needed.")
    elif session_id is None or not services.session_revoke(
        user_id=user.pk, session_id=session_id, reason="operator", note=reason, actor=actor
    ):
        messages.error(request, "This session has ended already, or is not of this user.")
    else:
        messages.success(request, f"Session {session_id} of {user.username} ended.")
    return HttpResponseRedirect(request.get_full_path())
