"""Every HTTP route."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from carehelp import health, problem
from conversations.doors import contract, gateway, page

urlpatterns = [
    path("", page.page),
    path("chat/<str:version>/<str:name>", page.asset),
    path("health", health.health),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", health.metrics),
    path("api/users/", include("accounts.urls")),
    path("api/", include("conversations.doors.urls")),
    path("gateway", gateway.GatewayView.as_view()),
    path("api/schema", SpectacularAPIView.as_view(permission_classes=[]), name="schema"),
    path("api/docs", contract.DocsView.as_view()),
    path("api/asyncapi.yaml", contract.asyncapi),
    path("admin/", admin.site.urls),
    re_path(r"^admin$", health.to_admin),
]

handler400 = problem.bad_request
handler403 = problem.permission_denied
handler404 = problem.page_not_found
handler500 = problem.server_error
