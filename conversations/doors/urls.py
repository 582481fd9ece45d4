from django.urls import path

from conversations.doors import media, rest, sync

urlpatterns = [
    path("chat", rest.ChatView.as_view()),
    path("sync", sync.SyncView.as_view()),
    path("triage", rest.TriageView.as_view()),
    path("ws-ticket", rest.TicketView.as_view()),
    path("emergency-contacts", rest.EmergencyContactsView.as_view()),
    path("attachments", media.AttachmentsView.as_view()),
    path("attachments/<int:attachment_id>", media.AttachmentView.as_view()),
    path("transcribe", media.TranscribeView.as_view()),
    path("analyze-image", media.AnalyzeImageView.as_view()),
    path("translate", media.TranslateView.as_view()),
    path("languages", media.LanguagesView.as_view()),
    path("messages/<int:reply_id>", rest.MessageView.as_view()),
    path("messages/<int:reply_id>/events", rest.EventsView.as_view()),
    path("messages/<int:reply_id>/stop", rest.StopView.as_view()),
    path("messages/<int:reply_id>/retry", rest.RetryView.as_view()),
    path("conversations", rest.ConversationsView.as_view()),
    path("conversations/<int:conversation_id>", rest.ConversationView.as_view()),
    path("conversations/<int:conversation_id>/messages", rest.MessagesView.as_view()),
]
