"""The topics, their administration, and a local Apache Kafka for development and tests."""
