from django.urls import path

from accounts import views

urlpatterns = [
    path("register", views.RegisterView.as_view()),
    path("guest", views.GuestView.as_view()),
    path("login", views.LoginView.as_view()),
    path("refresh", views.RefreshView.as_view()),
    path("logout", views.LogoutView.as_view()),
    path("logout-all", views.LogoutAllView.as_view()),
    path("me", views.MeView.as_view()),
    path("me/export", views.ExportView.as_view()),
    path("me/consents", views.ConsentsView.as_view()),
]
