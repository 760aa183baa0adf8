"""WSGI entry point: REST, back-office and front page."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")

application = get_wsgi_application()
