"""scripts/peers says in a line what it lacks, and never stands in the way of the other tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "interop" / "peers"
TOOLS = ("bash", "cp", "dirname", "env", "grep", "id", "mkdir", "mktemp", "mv", "rm", "tail")
COMPILER = ("gcc", "pkg-config", "as", "ld")


@pytest.fixture
def checkout(tmp_path):
    """A copy of what scripts/peers needs, and in bin/ a PATH that has only the plainest tools."""
    shutil.copytree(SOURCES, tmp_path / "tests" / "interop" / "peers")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "peers", tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def offer(checkout, name, *lines):
    """Put a program of our own on the PATH."""
    path = checkout / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text("\n".join(["#!/usr/bin/env bash", *lines, ""]))
    path.chmod(0o755)


def set_up(checkout):
    """What the script says, line by line; whatever happened, it ends well and leaves no log."""
    done = subprocess.run(
        [str(checkout / "scripts" / "peers")],
        env={**os.environ, "PATH": str(checkout / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)
    assert list((checkout / ".venv" / "peers").glob("log*")) == []
    return done.stderr.splitlines()


def test_without_a_compiler_or_node_it_says_so_and_how_to_get_them(checkout):
    packages, node = set_up(checkout)
    assert "gcc libc6-dev pkg-config libzmq3-dev" in packages
    assert "apt-get install gcc" in packages
    assert node.startswith("peers: tests against Node.js are skipped: they need node and npm")


def test_only_root_installs_packages(checkout):
    offer(checkout, "apt-get", 'echo "$@" >>"${0%/*}/../asked"')
    offer(checkout, "id", "echo 1000")
    assert "sudo apt-get install" in set_up(checkout)[0]
    assert not (checkout / "asked").exists()
    offer(checkout, "id", "echo 0")
    assert set_up(checkout)[0].startswith("peers: installing gcc libc6-dev pkg-config libzmq3-dev")
    assert "install gcc libc6-dev pkg-config libzmq3-dev" in (checkout / "asked").read_text()


def test_a_failing_package_manager_is_quoted(checkout):
    offer(checkout, "id", "echo 0")
    offer(checkout, "apt-get", "echo 'E: no network' >&2", "exit 100")
    offer(checkout, "node", "exit 1")
    offer(checkout, "npm", "echo 'npm error code ENOTFOUND' >&2", "exit 1")
    _, packages, node = set_up(checkout)
    assert packages.endswith("are skipped: apt-get says, E: no network")
    assert node.endswith("are skipped: npm says, npm error code ENOTFOUND")


def test_a_module_that_cannot_be_loaded_is_taken_away(checkout):
    offer(checkout, "node", "echo 'Error: wrong platform' >&2", "exit 1")
    offer(checkout, "npm", "mkdir -p node_modules/zeromq")
    assert set_up(checkout)[-1].endswith("are skipped: node says, Error: wrong platform")
    assert not (checkout / ".venv" / "peers" / "node_modules").exists()


@pytest.mark.slow
def test_a_peer_is_compiled_when_it_is_missing_or_old(checkout):
    if not (ROOT / ".venv" / "peers" / "peer").exists():
        pytest.skip("scripts/peers could build no C peer here")
    for tool in COMPILER:
        (checkout / "bin" / tool).symlink_to(shutil.which(tool))
    source, peer = checkout / "tests/interop/peers/peer.c", checkout / ".venv/peers/peer"
    set_up(checkout)
    made = peer.stat().st_mtime_ns
    set_up(checkout)
    assert peer.stat().st_mtime_ns == made
    source.write_text(source.read_text() + "newer, and wrong\n")
    os.utime(source, ns=(made + 10**9,) * 2)
    assert any("are skipped: the compiler says" in line for line in set_up(checkout))
    assert not peer.exists()


def test_the_lock_file_pins_by_content_and_names_no_host():
    lock = (SOURCES / "package-lock.json").read_text()
    assert lock.count('"integrity"') == 3
    assert "http" not in lock
