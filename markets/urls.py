"""Addresses of market data, below ``/api/``."""

from django.urls import path

from markets import views

urlpatterns = [
    path("markets", views.MarketListView.as_view(), name="markets"),
    path("markets/<str:symbol>", views.MarketDetailView.as_view(), name="market"),
    path("markets/<str:symbol>/ticker", views.TickerView.as_view(), name="market-ticker"),
    path("markets/<str:symbol>/orderbook", views.OrderBookView.as_view(), name="market-orderbook"),
    path("markets/<str:symbol>/trades", views.TradeListView.as_view(), name="market-trades"),
    path("markets/<str:symbol>/klines", views.KlineListView.as_view(), name="market-klines"),
    path("time", views.TimeView.as_view(), name="time"),
    path("exchange-info", views.ExchangeInfoView.as_view(), name="exchange-info"),
]
