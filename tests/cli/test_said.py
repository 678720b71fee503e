"""What commands say of all that their nodes log."""

import logging

import pytest

from actormq.cli.said import hushed, is_of_farms
from actormq.observe import logs


@pytest.mark.parametrize(
    ("name", "level", "is_said"),
    [
        ("actormq", logging.INFO, False),  # who is alive
        ("actormq", logging.WARNING, True),
        ("actormq.farm", logging.INFO, True),
        (logs.peers.name, logging.WARNING, True),
        (logs.letters.name, logging.WARNING, False),
        ("jobs", logging.INFO, True),  # of whom is no business of ours
    ],
)
def test_what_concerns_farms_is_said_and_what_went_wrong(name, level, is_said):
    record = logging.LogRecord(name, level, "", 0, "text", (), None)
    assert is_of_farms(record) is is_said


def test_a_command_that_is_done_leaves_the_log_as_it_was():
    logger = logging.getLogger("actormq")
    before = logger.level
    with hushed():
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.level == before
