"""Addresses under ``/api/``."""

from django.urls import path

from accounts import (
    audit_views,
    key_views,
    limit_views,
    notice_views,
    reset_views,
    two_factor_views,
    user_views,
    views,
)
from accounts import schema as schema  # Importing it registers our authentication.

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="auth-register"),
    path("auth/login", views.LoginView.as_view(), name="auth-login"),
    path("auth/login/2fa", views.LoginCompleteView.as_view(), name="auth-login-2fa"),
    path("auth/refresh", views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="auth-logout"),
    path("auth/profile", views.ProfileView.as_view(), name="auth-profile"),
    path("auth/sessions", views.SessionsView.as_view(), name="auth-sessions"),
    path("auth/sessions/<id:session_id>", views.SessionView.as_view(), name="auth-session"),
    path("auth/password/reset", reset_views.PasswordResetView.as_view(), name="auth-reset"),
    path(
        "auth/password/reset/confirm",
        reset_views.PasswordResetConfirmView.as_view(),
        name="auth-reset-confirm",
    ),
    path(
        "auth/email/verification",
        reset_views.EmailVerificationView.as_view(),
        name="auth-email-verification",
    ),
    path("auth/email/verify", reset_views.EmailVerifyView.as_view(), name="auth-email-verify"),
    path("auth/2fa", two_factor_views.TwoFactorView.as_view(), name="auth-2fa"),
    path("auth/2fa/setup", two_factor_views.TwoFactorSetupView.as_view(), name="auth-2fa-setup"),
    path(
        "auth/2fa/confirm", two_factor_views.TwoFactorConfirmView.as_view(), name="auth-2fa-confirm"
    ),
    path(
        "auth/2fa/disable", two_factor_views.TwoFactorDisableView.as_view(), name="auth-2fa-disable"
    ),
    path(
        "auth/2fa/recovery-codes",
        two_factor_views.RecoveryCodesView.as_view(),
        name="auth-2fa-recovery-codes",
    ),
    path("auth/api-keys", key_views.ApiKeysView.as_view(), name="auth-api-keys"),
    path("auth/api-keys/<id:key_id>", key_views.ApiKeyView.as_view(), name="auth-api-key"),
    path("auth/ws-ticket", views.TicketView.as_view(), name="auth-ws-ticket"),
    path("admin/users", user_views.UsersView.as_view(), name="admin-users"),
    path("account/notices", notice_views.NoticesView.as_view(), name="account-notices"),
    path("admin/audit-logs", audit_views.AuditLogView.as_view(), name="admin-audit-logs"),
    path("account/limits", limit_views.AccountLimitsView.as_view(), name="account-limits"),
    path("account", views.AccountView.as_view(), name="account"),
]
