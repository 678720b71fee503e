"""How many examples hypothesis tries where it matters: the one knob for all state machines.

ACTORMQ_EXAMPLES=20000 scripts/test tests/rules/test_supervision_model.py
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

USUAL = 500
ROUND = 500  # hypothesis keeps each example of a round in memory: 20 000 would take over 1 GB


def examples_count(usual=USUAL):
    """The number that was asked for in ACTORMQ_EXAMPLES, or the usual one."""
    return int(os.environ.get("ACTORMQ_EXAMPLES", usual))


def seconds_allowed(usual=600):
    """What a test of a state machine may take: much more than the usual time for each round."""
    return usual * max(1, examples_count() // ROUND)


def slow_if_many(test):
    """Mark a test as slow, unless few examples are asked for, as planted bugs do."""
    return pytest.mark.slow(test) if examples_count() >= USUAL else test


def run_machine(machine, steps=40, count=None):
    """Try a state machine as often as was asked for.

    Args:
        machine: The class, a `RuleBasedStateMachine`.
        steps: The most steps of one example.
        count: How many examples; `examples_count()` if it is not given.
    """
    left = examples_count() if count is None else count
    while left > 0:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=min(left, ROUND),
                stateful_step_count=steps,
                deadline=None,
                # The suite says the same of the same code; who asks for more has it search anew.
                derandomize=examples_count() <= USUAL,
                suppress_health_check=[HealthCheck.too_slow],  # other tests share the machine
            ),
        )
        left -= ROUND
