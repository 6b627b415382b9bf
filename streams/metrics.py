"""Every metric, in one place: prefix `breachwatch_`, base units, labels only from closed sets."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS_IN = Counter(
    "breachwatch_events_in_total", "Messages read, by inbound topic and outcome", ["topic", "outcome"]
)
UNREADABLE = Counter(
    "breachwatch_unreadable_total",
    "Messages of our own topics that could not be read, and were passed over",
    ["topic"],
)
DEAD_LETTERS = Counter("breachwatch_dead_letters_total", "Messages dead-lettered", ["topic", "reason"])
READS = Counter("breachwatch_gate_reads_total", "Plate reads seen by the gate, by outcome", ["outcome"])
ADAPTED = Counter("breachwatch_adapted_total", "What adapters made of raw messages", ["adapter", "outcome"])
DOOR = Counter("breachwatch_door_events_total", "Events at the HTTP door", ["topic", "outcome"])
EFFECTS = Counter("breachwatch_effects_total", "Messages sent by assess, by kind", ["kind"])
EVENT_SECONDS = Histogram(
    "breachwatch_event_to_effect_seconds",
    "From the broker's append of an inbound message to the send of its effects",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600),
)
ROW_BYTES = Histogram(
    "breachwatch_row_bytes", "Size of a subject's row when written", buckets=(1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 64e3)
)
INDEX_IDENTIFIERS = Gauge("breachwatch_index_identifiers", "Identifiers in this process's index")
INDEX_FRESH = Gauge("breachwatch_index_fresh", "1 while the index is confirmed fresh, 0 while events wait for it")
HELD = Gauge("breachwatch_unresolved_events", "Events held because they name nobody an order is known for")
SUPPRESSED = Counter(
    "breachwatch_suppressed_alerts", "Low alerts held back within the hour, by kind; the audit lists them.", ["kind"]
)
LOOP_DELAY = Histogram(
    "breachwatch_event_loop_delay_seconds",
    "How late the event loop runs what is due",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LOOP_GAP = Gauge("breachwatch_event_loop_gap_seconds", "Since the event loop last ran, seen from another thread")
COMMIT_AGE = Gauge(
    "breachwatch_commit_age_seconds", "The longest that any partition's messages have been handed out uncommitted"
)
