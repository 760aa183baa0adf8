"""Addresses under ``/api/``."""

from django.urls import path, register_converter

from accounts import audit_views, key_views, views
from accounts import schema as schema  # Importing it registers our authentication.
from common.ids import IdConverter

register_converter(IdConverter, "id")

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="auth-register"),
    path("auth/login", views.LoginView.as_view(), name="auth-login"),
    path("auth/refresh", views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="auth-logout"),
    path("auth/profile", views.ProfileView.as_view(), name="auth-profile"),
    path("auth/sessions", views.SessionsView.as_view(), name="auth-sessions"),
    path("auth/sessions/<id:session_id>", views.SessionView.as_view(), name="auth-session"),
    path("auth/api-keys", key_views.ApiKeysView.as_view(), name="auth-api-keys"),
    path("auth/api-keys/<id:key_id>", key_views.ApiKeyView.as_view(), name="auth-api-key"),
    path("auth/ws-ticket", views.TicketView.as_view(), name="auth-ws-ticket"),
    path("admin/audit-logs", audit_views.AuditLogView.as_view(), name="admin-audit-logs"),
    path("account", views.AccountView.as_view(), name="account"),
]
