"""Addresses of the risk engine."""

from django.urls import path

from riskengine import admin_views, views

urlpatterns = [
    path("risk/tiers", views.TiersView.as_view(), name="risk-tiers"),
    path("risk/insurance-fund", views.InsuranceFundView.as_view(), name="risk-insurance-fund"),
    path("risk/liquidations", views.LiquidationsView.as_view(), name="risk-liquidations"),
    path("risk/margin-calls", views.MarginCallsView.as_view(), name="risk-margin-calls"),
    path("admin/risk-params", admin_views.RiskParamsView.as_view(), name="admin-risk-params"),
]
