"""Addresses of the wallets app."""

from django.urls import path

from wallets import views

urlpatterns = [
    path("wallet", views.WalletView.as_view(), name="wallet"),
    path("wallet/transfer", views.TransferView.as_view(), name="wallet-transfer"),
    path("wallet/history", views.HistoryView.as_view(), name="wallet-history"),
    path("wallet/<str:currency>", views.CurrencyView.as_view(), name="wallet-currency"),
]
