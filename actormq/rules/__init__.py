"""Decisions without sockets, loops or clocks: facts in, an answer out."""
