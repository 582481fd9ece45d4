"""Counters, in Prometheus's terms. Imports nothing of ours, so that anybody may count."""

from prometheus_client import Counter, Gauge, Histogram

TURNS = Counter("carehelp_turns_total", "Turns ended, by status and mode", ["status", "mode"])
TRIAGED = Counter("carehelp_triaged_total", "Messages triaged, by level", ["level"])
TRIAGE_SECONDS = Histogram(
    "carehelp_triage_seconds",
    "Time to triage one message",
    buckets=(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 1e-2),
)
FIRST_TEXT_SECONDS = Histogram(
    "carehelp_first_text_seconds",
    "From the message's arrival to the first character of its answer",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RUNNING_TURNS = Gauge("carehelp_running_turns", "Turns being answered by this process")
REFUSED = Counter("carehelp_refused_total", "Requests refused, by code", ["code"])
GUARDED = Counter("carehelp_guarded_total", "Parts removed from models' answers, by kind", ["kind"])
