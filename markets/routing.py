"""WebSocket paths of the markets app."""

from django.urls import path

from markets.consumers import MarketConsumer, PricesConsumer

websocket_urlpatterns = [
    path("ws/prices", PricesConsumer.as_asgi()),
    path("ws/market", MarketConsumer.as_asgi()),
]
