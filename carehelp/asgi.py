"""Where HTTP and WebSocket meet."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carehelp.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path, re_path

from accounts.usage import Meter
from carehelp.checks import refuse_unsafe_settings
from carehelp.lifespan import lifespan
from carehelp.limits import BodyLimit
from conversations.doors.socket import ChatSocket, NotHere

refuse_unsafe_settings()

application = Meter(
    BodyLimit(
        ProtocolTypeRouter(
            {
                "lifespan": lifespan,
                "http": django_application,
                "websocket": URLRouter(
                    [path("ws/chat", ChatSocket.as_asgi()), re_path("", NotHere.as_asgi())]
                ),
            }
        ),
        default=settings.REQUEST_MAX_BYTES,
        larger=settings.UPLOADS,
    )
)
