"""The worker farm: tasks to workers on all machines of the mesh, results back, each counted once.

| Module | Holds |
| --- | --- |
| farm | what users hold: `async with node.farm(f) as farm`, `farm.map` |
| ventilator | the actor with the one queue: leases tasks to workers, takes their answers |
| worker, slot, program | the actor that offers slots, one slot, and the process behind it |
| job | functions by name, values to payloads, exceptions that travel |
| results, errors | what became of a task |
| reports | what a farm tells of itself |
| durable, store | tasks and results that outlive the process |

The decisions are in `rules/leases.py`, `rules/credit.py` and `rules/shares.py`.
"""
