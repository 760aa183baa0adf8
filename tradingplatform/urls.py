"""Addresses of the site: API, documentation, back-office, front page."""

from importlib.util import find_spec

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

API_APPS = ("accounts", "markets", "wallets", "orders")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    *(
        path("api/", include(f"{name}.urls"))
        for name in API_APPS
        if find_spec(f"{name}.urls") is not None
    ),
    path(f"{settings.ADMIN_PATH}/", admin.site.urls),
]
