"""Measure events with OpenTelemetry: SessionManager(…, on_event=Telemetry())."""

from opentelemetry import metrics

from betfair_session import Event


class Telemetry:
    """Records how many events of each kind there were, and how long they took.

    Where the numbers go is decided by the program's MeterProvider, as everywhere in OpenTelemetry.
    """

    def __init__(self, provider: metrics.MeterProvider | None = None) -> None:
        """Prepare.

        Args:
            provider: None for the program's own.
        """
        meter = metrics.get_meter("betfair_session", meter_provider=provider)
        self._seconds = meter.create_histogram("betfair_session.event", unit="s")

    def __call__(self, event: Event) -> None:
        """Record one event."""
        place = {"store": event.store, "key": event.key}
        self._seconds.record(event.seconds, {"kind": event.kind, **place})
