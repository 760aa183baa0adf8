"""Addresses of perpetual markets' history, below ``/api/markets/``."""

from django.urls import path

from riskengine.market_views import FundingListView

urlpatterns = [
    path("<str:symbol>/funding", FundingListView.as_view(), name="market-funding"),
]
