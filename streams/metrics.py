"""Every metric, in one place: prefix `breachwatch_`, base units, labels only from closed sets.

What a label may hold is known before anything is read: topics, groups, partitions, reasons, kinds, grades and states
of ours, and our own checks. Never a subject, an order, a device, a plate or a source: those come from outside, and
each new one would be a series for ever.

Each process shows all of them at `/metrics`; those that are another process's stay at nothing, or have no series.
"""

from typing import get_args

from prometheus_client import Counter, Gauge, Histogram, Info, disable_created_metrics

from schemas.inbound import BadReason
from schemas.updates import Action
from streams.kafka.topics import TOPICS

# A second series for each counter and histogram, that no query of ours needs.
disable_created_metrics()  # type: ignore[no-untyped-call, unused-ignore]

# From an event to its task takes 20 ms where nothing waits; what waits longer than ten minutes is one thing.
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)

# -- every process -----------------------------------------------------------------------------------------

BUILD = Info("breachwatch_build", "What runs here: version, python, and role (worker, gate, lookout ...)")
LOOP_DELAY = Histogram(
    "breachwatch_event_loop_delay_seconds", "How late the event loop runs what is due", buckets=_WAITS
)
LOOP_GAP = Gauge("breachwatch_event_loop_gap_seconds", "Since the event loop last ran, seen from another thread")
UNREADABLE = Counter(
    "breachwatch_unreadable_total",
    "Messages of our own topics that could not be read, and were passed over",
    ["topic"],
)
for _topic in ("identifiers", "unresolved", "source-controls", "breachwatch-subjects-changelog", "arrest-tasks"):
    # Each one is a page, and a counter that begins at 1 has no increase.
    UNREADABLE.labels(_topic)
READY = Gauge("breachwatch_ready", "1 when a check of /readyz says that it is well, as of this scrape", ["check"])
ALIVE = Gauge("breachwatch_alive", "1 when a check of /healthz says that it is well, as of this scrape", ["check"])

# -- what comes in and goes out ----------------------------------------------------------------------------

EVENTS_IN = Counter(
    "breachwatch_events_in_total", "Messages read, by inbound topic and outcome", ["topic", "outcome"]
)
MESSAGES_OUT = Counter("breachwatch_messages_out_total", "Messages handed to the brokers, by topic", ["topic"])
DEAD_LETTERS = Counter("breachwatch_dead_letters_total", "Messages dead-lettered", ["topic", "reason"])
for _taken in (topic for topic in TOPICS if topic.direction in ("inbound", "raw")):
    # A first burst is a page, and of a counter that begins at 5,000 nothing is known to have been added.
    for _reason in BadReason:
        DEAD_LETTERS.labels(_taken.name, _reason.value)
READS = Counter("breachwatch_gate_reads_total", "Plate reads seen by the gate, by outcome", ["outcome"])
for _outcome in ("passed", "forwarded", "forwarded_late", "forgotten_early", "dead_letter"):
    READS.labels(_outcome)
ADAPTED = Counter("breachwatch_adapted_total", "What adapters made of raw messages", ["adapter", "outcome"])
DOOR = Counter("breachwatch_door_events_total", "Events at the HTTP door", ["topic", "outcome"])
for _taken in (topic for topic in TOPICS if topic.direction == "inbound"):
    for _outcome in ("accepted", "refused", "unknown"):
        DOOR.labels(_taken.name, _outcome)
ALERTS = Counter("breachwatch_alerts_total", "Alerts sent to people, repeats too; no exercises", ["kind", "severity"])
SUPPRESSED = Counter(
    "breachwatch_suppressed_alerts_total", "Low alerts held back within the hour; the audit lists them", ["kind"]
)

# -- how long it takes; no exercises -----------------------------------------------------------------------

EVENT_TO_TASK = Histogram(
    "breachwatch_event_to_task_seconds",
    "From the broker's append of an event to the send of the task that has a new breach because of it",
    ["topic", "grade"],
    buckets=_WAITS,
)
STAGE = Histogram(
    "breachwatch_stage_seconds",
    "Parts of an event's way: transport (its sender recorded it, until its append), wait (appended, until it is "
    "taken) and own (our own work), at ingest and at assess",
    ["stage", "step"],
    buckets=(0.001, *_WAITS),
)
ROW_BYTES = Histogram(
    "breachwatch_row_bytes",
    "Size of a subject's row when written",
    buckets=(1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 48e3, 64e3),
)

# -- a worker's own state ----------------------------------------------------------------------------------

COMMIT_AGE = Gauge(
    "breachwatch_commit_age_seconds", "The longest that any partition's messages have been handed out uncommitted"
)
ASSIGNED = Gauge("breachwatch_assigned_partitions", "Stream partitions that this worker has")
REBALANCES = Counter("breachwatch_rebalances_total", "Times that this worker's partitions were given anew")
RECOVERY_REMAINING = Gauge(
    "breachwatch_recovery_remaining_messages", "Changelog messages that are still to be read before the tables serve"
)
INDEX_IDENTIFIERS = Gauge("breachwatch_index_identifiers", "Identifiers in this process's index")
INDEX_FRESH = Gauge("breachwatch_index_fresh", "1 while the index is confirmed fresh, 0 while events wait for it")
INDEX_AGE = Gauge("breachwatch_index_age_seconds", "Since the index was last confirmed to be as new as its topic")
HELD = Gauge("breachwatch_unresolved_events", "Events held because they name nobody an order is known for")
ESCALATIONS = Counter("breachwatch_escalations_total", "Times a task that nobody acted on was told to", ["to"])
DEADLINES_MISSED = Counter(
    "breachwatch_deadlines_missed_total", "Tasks that nobody attended by their deadline", ["grade"]
)

# -- the pipeline as the lookout sees it, from outside -----------------------------------------------------

LAG_MESSAGES = Gauge(
    "breachwatch_lag_messages", "Messages that a group has not committed", ["group", "topic", "partition"]
)
LAG_SECONDS = Gauge(
    "breachwatch_lag_seconds", "Age of the oldest message not committed; 0: none", ["group", "topic", "partition"]
)
GROUP_MEMBERS = Gauge("breachwatch_group_members", "Processes in a consumer group that have partitions", ["group"])
LIVE_ORDERS = Gauge("breachwatch_live_orders", "Orders that are not over, by kind; no exercises", ["kind"])
SOURCES_SILENT = Gauge("breachwatch_sources_silent", "Sources whose heartbeat is overdue")
DEVICES_SILENT = Gauge("breachwatch_devices_silent", "Tags whose fix is overdue")
OPEN_TASKS = Gauge(
    "breachwatch_open_tasks", "Tasks that are not over, by grade and state; no exercises", ["grade", "state"]
)
OLDEST_UNACKNOWLEDGED = Gauge(
    "breachwatch_oldest_unacknowledged_task_seconds", "Since the oldest open task was opened; 0: none", ["grade"]
)
TASKS_OVERDUE = Gauge("breachwatch_tasks_overdue", "Tasks past their deadline that nobody has attended", ["grade"])
DEAD_LETTERS_WAITING = Gauge(
    "breachwatch_dead_letters_waiting", "Dead letters that nobody has replayed or dismissed", ["reason"]
)
OLDEST_DEAD_LETTER = Gauge(
    "breachwatch_oldest_dead_letter_seconds", "Age of the oldest of those; 0: none", ["reason"]
)
CERTIFICATE_EXPIRY = Gauge(
    "breachwatch_certificate_expiry_timestamp_seconds",
    "When a certificate ends, seconds since 1970: of a broker as it is met, ours (client), or the authority (ca)",
    ["whose"],
)
WATCHED_AT = Gauge(
    "breachwatch_lookout_seen_timestamp_seconds",
    "When the lookout last saw it, seconds since 1970: lag, tasks, dead_letters, rows, certificates",
    ["what"],
)

# -- the board ---------------------------------------------------------------------------------------------

BOARD_CLIENTS = Gauge("breachwatch_board_stream_clients", "Clients that listen to the board's stream")
BOARD_DROPPED = Counter(
    "breachwatch_board_dropped_clients_total",
    "Clients of the stream that were dropped: their queue was full (slow), or they took nothing for too long (stuck)",
    ["reason"],
)
BOARD_DATA_AGE = Gauge(
    "breachwatch_board_data_age_seconds", "Since the board had taken in all that its topics held; NaN: not yet"
)
BOARD_UNREAD = Gauge("breachwatch_board_unread_messages", "Messages that the board had not taken in when it looked")
BOARD_KEPT = Gauge("breachwatch_board_kept", "What the board has in memory: tasks, safeguarding, alerts", ["what"])
BOARD_UPDATES = Counter(
    "breachwatch_board_updates_total",
    "Updates by way of the board: accepted, refused, unanswered (in time), unsent",
    ["action", "outcome"],
)
for _action in get_args(Action):
    for _outcome in ("unanswered", "unsent"):
        BOARD_UPDATES.labels(_action, _outcome)
BOARD_REFUSALS = Counter(
    "breachwatch_board_refusals_total",
    "Requests that were refused: token, role, force (or no such task), rate, log (not writable)",
    ["reason"],
)

# -- the canary --------------------------------------------------------------------------------------------

CANARY_PROBES = Counter(
    "breachwatch_canary_probes_total",
    "Synthetic sightings, by outcome (seen, late: after 5 s, lost: not within 60 s) and way (sightings; anpr: by the "
    "gate)",
    ["outcome", "way"],
)
CANARY_SECONDS = Histogram(
    "breachwatch_canary_seconds",
    "From the send of a synthetic sighting to its task at a reader, by its way",
    ["way"],
    buckets=_WAITS,
)
CANARY_SEEN = Gauge(
    "breachwatch_canary_seen_timestamp_seconds",
    "When the last synthetic sighting that came through was sent, seconds since 1970 (0: none has yet), by partition "
    "of subject-events",
    ["partition"],
)
CANARY_ROUND = Gauge("breachwatch_canary_round_seconds", "In which every partition of subject-events has its turn")
