"""How many examples hypothesis tries where it matters: the one knob for all state machines.

ACTORMQ_EXAMPLES=20000 scripts/test tests/rules/test_supervision_model.py
"""

import os

USUAL = 500


def examples_count(usual=USUAL):
    """The number that was asked for in ACTORMQ_EXAMPLES, or the usual one."""
    return int(os.environ.get("ACTORMQ_EXAMPLES", usual))
