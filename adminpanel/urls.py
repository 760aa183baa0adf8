"""Addresses of operators under ``/api/``: figures, every operation of the registry, approvals."""

from django.urls import path

from accounts import operation_views
from adminpanel.stats_views import StatsView

urlpatterns = [
    path("admin/stats", StatsView.as_view(), name="admin-stats"),
    path("admin/approvals", operation_views.ApprovalsView.as_view(), name="admin-approvals"),
    path(
        "admin/approvals/<id:approval_id>",
        operation_views.ApprovalView.as_view(),
        name="admin-approval",
    ),
    path(
        "admin/approvals/<id:approval_id>/approve",
        operation_views.ApproveView.as_view(),
        name="admin-approval-approve",
    ),
    path(
        "admin/approvals/<id:approval_id>/reject",
        operation_views.RejectView.as_view(),
        name="admin-approval-reject",
    ),
    *operation_views.operation_urls(),
]
