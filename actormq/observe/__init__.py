"""Listeners to what the runtime reports."""
