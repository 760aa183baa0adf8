"""Addresses of the wallets app."""

from django.urls import path

from wallets import views
from wallets.withdrawals import views as withdrawals

urlpatterns = [
    path("wallet", views.WalletView.as_view(), name="wallet"),
    path("wallet/transfer", views.TransferView.as_view(), name="wallet-transfer"),
    path("wallet/history", views.HistoryView.as_view(), name="wallet-history"),
    path("wallet/withdrawals", withdrawals.WithdrawalsView.as_view(), name="withdrawals"),
    path(
        "wallet/withdrawals/<id:withdrawal_id>",
        withdrawals.WithdrawalView.as_view(),
        name="withdrawal",
    ),
    path("wallet/addresses", withdrawals.AddressesView.as_view(), name="withdrawal-addresses"),
    path(
        "wallet/addresses/<id:address_id>",
        withdrawals.AddressView.as_view(),
        name="withdrawal-address",
    ),
    path(
        "admin/withdrawals",
        withdrawals.AdminWithdrawalsView.as_view(),
        name="admin-withdrawals",
    ),
    path(
        "admin/withdrawals/<id:withdrawal_id>",
        withdrawals.AdminWithdrawalView.as_view(),
        name="admin-withdrawal",
    ),
    path("wallet/<str:currency>", views.CurrencyView.as_view(), name="wallet-currency"),
]
