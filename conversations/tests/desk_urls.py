"""The application's addresses, and one that says whom Postgres takes the request for."""

from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.urls import path

from carehelp.database.identity import login
from carehelp.urls import urlpatterns as real

WHO = "SELECT session_user, current_user, app.uid(), pg_sleep(%s)"


def who(request: HttpRequest) -> JsonResponse:
    with connections[login()].cursor() as cursor:
        cursor.execute(WHO, [float(request.GET.get("sleep", 0))])
        session, role, user, _ = cursor.fetchone()
    return JsonResponse({"login": session, "role": role, "user": user and str(user)})


urlpatterns = [path("admin/who/", who), *real]
handler403 = "carehelp.problem.permission_denied"
handler404 = "carehelp.problem.page_not_found"
handler500 = "carehelp.problem.server_error"
