"""What is counted; Prometheus reads it at /metrics."""

from prometheus_client import Counter

WEBHOOK_EVENTS = Counter(
    "webhook_events_total",
    "Webhook deliveries by event type and what became of them",
    ["type", "outcome"],
)
