"""WebSocket paths of the adminpanel app."""

from django.urls import path

from adminpanel.consumers import AdminConsumer

websocket_urlpatterns = [path("ws/admin", AdminConsumer.as_asgi())]
