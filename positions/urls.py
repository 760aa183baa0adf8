"""Addresses of positions."""

from django.urls import path

from positions import change_views, views

urlpatterns = [
    path("positions", views.PositionsView.as_view(), name="positions"),
    path("positions/history", views.HistoryView.as_view(), name="positions-history"),
    path("positions/funding", views.FundingView.as_view(), name="positions-funding"),
    path("positions/close-all", change_views.CloseAllView.as_view(), name="positions-close-all"),
    path(
        "positions/settings/<str:symbol>",
        change_views.SettingView.as_view(),
        name="positions-setting",
    ),
    path("positions/<str:position_id>", views.PositionView.as_view(), name="position"),
    path(
        "positions/<str:position_id>/close",
        change_views.CloseView.as_view(),
        name="position-close",
    ),
    path(
        "positions/<str:position_id>/margin",
        change_views.MarginView.as_view(),
        name="position-margin",
    ),
    path(
        "positions/<str:position_id>/tp-sl", change_views.ExitsView.as_view(), name="position-tp-sl"
    ),
]
