"""The contract on the wire: what upstream systems publish and what comes out, as pydantic models."""
