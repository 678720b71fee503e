"""Which of the nodes that announce themselves would be in one mesh with ours, and why not."""

import pytest

from actormq.rules import announced
from actormq.rules.announced import wanted_mesh
from actormq.rules.findings import Intent, Seen

HERE = Intent(None, lan=False, joins=False, scope="loopback:7", protocol=1)
LAN = Intent(None, lan=True, joins=False, scope="lan", protocol=1)
JOINS = Intent(None, lan=True, joins=True, scope="lan", protocol=1)
HOME = Intent("home", lan=True, joins=False, scope="lan", protocol=1)


def seen(mesh="home", scope="lan", protocol=1, *, is_here=False):
    endpoints = ("ipc://@x", "tcp://10.77.0.2:4711")
    return Seen("roof", "ab" * 8, mesh, scope, protocol, endpoints, is_here)


def is_told(verdict):
    """A verdict that is not ok says why and what to do, in one line each."""
    texts = (verdict.found, verdict.cause, verdict.fix)
    if verdict.state == "ok":
        assert texts[1:] == ("", "")
    else:
        assert all(texts)
    assert all(text.isprintable() for text in texts)
    return True


@pytest.mark.parametrize(
    ("node", "intent", "state", "words"),
    [
        (seen(), LAN, "ok", ""),
        (seen(), HOME, "ok", ""),
        (seen("attic"), LAN, "ok", ""),  # nobody said which mesh is meant
        (seen("attic"), HOME, "warning", "'attic' and not in 'home'"),
        (seen(protocol=2), LAN, "problem", "version 2"),
        (seen("attic", protocol=2), HOME, "warning", "'attic'"),  # no business of ours
        (seen(scope="loopback:7", is_here=True), HERE, "ok", ""),
        (seen(scope="loopback:8", is_here=True), HERE, "warning", "another user"),
        (seen(scope="loopback:7", is_here=True), LAN, "problem", "stays on loopback"),
        (seen(is_here=True), HERE, "problem", "without --insecure-lan stay on this machine"),
        (seen(), HERE, "warning", "without --insecure-lan stay on this machine"),
    ],
)
def test_a_node_that_announces_itself(node, intent, state, words):
    (verdict,) = announced.nodes([node], intent, "")
    assert (verdict.state, words in verdict.cause) == (state, True)
    assert "roof" in verdict.check
    assert "tcp://10.77.0.2:4711" in verdict.found
    assert is_told(verdict)


@pytest.mark.parametrize(
    ("intent", "error", "state"),
    [(HERE, "", "ok"), (LAN, "", "warning"), (LAN, "no", "problem"), (JOINS, "no", "warning")],
)
def test_nobody_announces_itself(intent, error, state):
    (verdict,) = announced.nodes([], intent, error)
    assert verdict.state == state
    assert is_told(verdict)


def test_that_nobody_announces_itself_is_no_news_where_a_machine_was_named():
    assert announced.nodes([], LAN, "", is_asked=True) == []


@pytest.mark.parametrize(
    ("intent", "nodes", "mesh"),
    [
        (LAN, [], None),
        (LAN, [seen("home")], None),
        (LAN, [seen("home", is_here=True), seen("attic")], "home"),
        (LAN, [seen("home", is_here=True), seen("attic", is_here=True)], None),
        (HOME, [seen("attic", is_here=True)], "home"),
    ],
)
def test_the_mesh_that_is_meant_is_the_one_that_runs_here_unless_one_is_said(intent, nodes, mesh):
    assert wanted_mesh(intent, nodes) == mesh
