"""Addresses that belong to no one app."""

from django.urls import path

from common.catalog_views import ErrorCatalogView

urlpatterns = [path("errors", ErrorCatalogView.as_view(), name="errors")]
