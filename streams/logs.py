"""Logs of our processes: one JSON object a line on stderr, with no personal data in any field."""

import hashlib
import logging
import sys

import structlog


def correlation(traceparent: str | None, event_id: str) -> str:
    """What stands in every log line about one event, from its arrival to its task: the trace id that its sender gave
    it (W3C Trace Context), else our own hash of its id, since an id from outside may say anything."""
    if traceparent is not None:
        return traceparent.split("-")[1]
    return hashlib.sha256(event_id.encode()).hexdigest()[:32]


def _without_traceback(record: logging.LogRecord) -> bool:
    """Faust logs one crash at each of its layers, traceback and all; our own log line has it once."""
    record.exc_info = None
    return True


def configure_logging(level: int = logging.INFO) -> None:
    """Route structlog and the standard library's logging to JSON lines on stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_without_traceback)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # What Kafka clients and Faust say at INFO is one line a rebalance step and a partition.
    root.setLevel(max(level, logging.WARNING))
