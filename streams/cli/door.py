"""`breachwatch door`: the HTTP door, for systems that cannot speak Kafka."""

from streams.cli import load_settings
from streams.errors import BreachwatchError


def command() -> None:
    """Take events by HTTP until told to stop; answers only after the broker's acknowledgement."""
    import uvicorn

    from streams.door.app import create
    from streams.door.tokens import Keys
    from streams.guard import UVICORN
    from streams.kafka import admin
    from streams.runtime import begin

    settings = load_settings()
    if settings.door_jwks_file is None:
        raise BreachwatchError("BREACHWATCH_DOOR_JWKS_FILE: say whose tokens open the door")
    admin.require(settings, "door")
    keys = Keys(settings.door_jwks_file, settings.door_audience, settings.door_issuer)
    health = begin(settings, "door")
    app = create(settings, keys)
    health.ready["producer"] = app.state.door.ready
    uvicorn.run(app, host=settings.door_host, port=settings.door_port, **UVICORN)
