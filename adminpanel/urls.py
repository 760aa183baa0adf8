"""Addresses of operators under ``/api/``: figures, exports, operations, approvals."""

from django.urls import path

from accounts import operation_views
from adminpanel import export_views
from adminpanel.stats_views import StatsView

urlpatterns = [
    path("admin/stats", StatsView.as_view(), name="admin-stats"),
    path("admin/exports", export_views.ExportsView.as_view(), name="admin-exports"),
    path("admin/exports/<id:export_id>", export_views.ExportView.as_view(), name="admin-export"),
    path(
        "admin/exports/<id:export_id>/retry",
        export_views.ExportRetryView.as_view(),
        name="admin-export-retry",
    ),
    path(
        "admin/exports/<id:export_id>/file",
        export_views.ExportFileView.as_view(),
        name="admin-export-file",
    ),
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
