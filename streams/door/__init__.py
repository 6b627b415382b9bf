"""The HTTP door, for systems that cannot speak Kafka."""
