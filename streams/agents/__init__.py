"""Faust agents: decode, call the core, send the effects."""
