"""Looks for what keeps machines from being one mesh: gathers facts, which `rules/` judges.

The modules here open plain sockets of the operating system, to try what it and the network let
through; they are closed before the module returns, and no ZeroMQ socket is among them.
Nodes that are started to try the real thing are `Node`s like any other.
"""
