"""Addresses of operators' pages, beside those that the admin site makes itself."""

from django.contrib import admin
from django.urls import path

from adminpanel import approval_pages, dashboard, export_pages, operation_pages

_page = admin.site.admin_view

urlpatterns = [
    path("dashboard/live", _page(dashboard.live_view), name="dashboard-live"),
    path("dashboard/charts", _page(dashboard.charts_view), name="dashboard-charts"),
    path("operations/", _page(operation_pages.operations_page), name="operations"),
    path("exports/", _page(export_pages.exports_view), name="exports"),
    path("exports/status", _page(export_pages.exports_status), name="exports-status"),
    path("exports/<id:export_id>/file", _page(export_pages.export_download), name="export-file"),
    path("exports/<id:export_id>/retry", _page(export_pages.export_again), name="export-retry"),
    path(
        "operations/result/<slug:key>", _page(operation_pages.result_page), name="operation-result"
    ),
    path("operations/<slug:name>/", _page(operation_pages.operation_page), name="operation"),
    path(
        "operations/<slug:name>/<str:target>",
        _page(operation_pages.operation_page),
        name="operation",
    ),
    path("approvals/", _page(approval_pages.approvals_page), name="approvals"),
    path("approvals/<id:approval_id>", _page(approval_pages.approval_page), name="approval"),
]
