"""Formats that are out there already, in and out: one module for each product, pure functions."""
