"""What docs/simulation.md shows runs."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "simulation.md"


def test_the_scenario_of_the_page():
    first, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {"__name__": "page"}
    exec(compile(first, str(PAGE), "exec"), names)
    names["test_the_counter_survives_the_network"]()
