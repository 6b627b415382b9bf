"""Faults on purpose: a simulated world goes through a pipeline that is being broken, and must come out the same."""
