"""Addresses of orders and fills."""

from django.urls import path

from orders import batch_views, linked_views, preview_views, safeguard_views, views

urlpatterns = [
    path("orders", views.OrdersView.as_view(), name="orders"),
    path("orders/history", views.OrderHistoryView.as_view(), name="orders-history"),
    path("orders/batch", batch_views.OrderBatchView.as_view(), name="orders-batch"),
    path("orders/preview", preview_views.OrderPreviewView.as_view(), name="orders-preview"),
    path(
        "orders/cancel-all-after",
        safeguard_views.CancelAllAfterView.as_view(),
        name="orders-cancel-all-after",
    ),
    path(
        "orders/protection/<str:symbol>",
        safeguard_views.ProtectionView.as_view(),
        name="orders-protection",
    ),
    path(
        "orders/protection/<str:symbol>/reset",
        safeguard_views.ProtectionResetView.as_view(),
        name="orders-protection-reset",
    ),
    path("orders/oco", linked_views.OcoView.as_view(), name="orders-oco"),
    path("orders/bracket", linked_views.BracketView.as_view(), name="orders-bracket"),
    path(
        "orders/by-client-id/<str:client_order_id>",
        views.OrderByClientIdView.as_view(),
        name="order-by-client-id",
    ),
    path("orders/<str:order_id>", views.OrderView.as_view(), name="order"),
    path("fills", views.FillsView.as_view(), name="fills"),
]
