"""Events that people enter by hand: checked, and sent."""

from typing import Any

from streams.errors import BreachwatchError


def publish(topic: str, body: dict[str, Any], *, dry_run: bool) -> str:
    """Check the event and send it; where it went, in words. Raises BreachwatchError naming what is wrong."""
    import orjson

    from schemas.inbound import BadMessageError, decode
    from streams.cli import load_settings
    from streams.core.keys import message_key
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    value = orjson.dumps(body)
    try:
        event = decode(topic, value)
    except BadMessageError as error:
        raise BreachwatchError(f"nothing was sent: {error.detail}") from None
    if dry_run:
        return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    settings = load_settings()
    (sent,) = send_all(cluster_of(settings), [Outgoing(full_name(settings, topic), message_key(event), value)])
    return f"sent to {topic}, partition {sent.partition}, offset {sent.offset}; event {body['id']}"
