"""A bare Faust agent, the floor of assess: `python -m streams.bench.bare_agent NAME ROW_BYTES SENDS`.

For each `subject-events` message it decodes the JSON, writes a row of so many bytes to one table, and makes as many
sends of as many bytes as a worker of ours made: SENDS is a JSON list of [sends for an event, bytes].
"""

import sys
from typing import Any

import faust
import orjson
from prometheus_client import Counter, start_http_server

from streams.app import faust_options
from streams.kafka.admin import cluster_of
from streams.kafka.topics import full_name, topic_specs
from streams.settings import Settings

COUNTED = "bare_agent_events_total"


def bare_app(settings: Settings, row_bytes: int, sends: list[tuple[float, int]]) -> faust.App:
    partitions = topic_specs(settings)[0].partitions
    app = faust.App(
        f"{settings.topic_prefix}breachwatch",
        broker=";".join(f"kafka://{server}" for server in cluster_of(settings).servers),
        datadir=str(settings.data_dir / "bare"),
        store="rocksdb://",
        **faust_options(settings),
    )
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}

    def topic(name: str, **more: Any) -> Any:
        return app.topic(full_name(settings, name), partitions=partitions, **raw, **more)

    changelog = topic("breachwatch-subjects-changelog", compacting=True)
    rows = app.Table("subjects", partitions=partitions, changelog_topic=changelog, key_type=bytes, value_type=bytes)
    out, counted = topic("audit"), Counter(COUNTED.removesuffix("_total"), "Events handled")
    bodies = [(share, b"x" * size) for share, size in sends]

    @app.agent(topic("subject-events"), name="bare", concurrency=1)  # type: ignore[untyped-decorator]
    async def bare(stream: Any) -> None:
        due = [0.0] * len(bodies)
        async for event in stream.events():
            orjson.loads(event.value)
            rows.get(event.key)
            rows[event.key] = b"x" * row_bytes
            for number, (share, body) in enumerate(bodies):
                due[number] += share
                while due[number] >= 1:
                    due[number] -= 1
                    await out.send(key=event.key, value=body)
            counted.inc()

    return app


if __name__ == "__main__":
    name, row_bytes, sends = sys.argv[1:]
    settings = Settings()
    start_http_server(settings.metrics_port, addr="127.0.0.1")
    app = bare_app(settings, int(row_bytes), orjson.loads(sends))
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
