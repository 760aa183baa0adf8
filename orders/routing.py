"""WebSocket paths of the orders app."""

from django.urls import path

from orders.consumers import UserConsumer

websocket_urlpatterns = [path("ws/user", UserConsumer.as_asgi())]
