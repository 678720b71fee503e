"""Actors whose object lives off the node's loop: in a thread, or in a process of its own."""
