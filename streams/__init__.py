"""breachwatch: from orders, breach reports and sightings to prioritised arrest tasks."""

__version__ = "0.1.0"
