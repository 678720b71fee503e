"""The worker farm: tasks to workers on all machines of the mesh, results back, each counted once.

| Module | Holds |
| --- | --- |
| farm, stream, results | what users hold: a farm, one call of `map`, what became of a task |
| dispatch | the queue, on the loop of its node |
| ventilator, roster | the actor that leases tasks to workers and takes their answers |
| worker, served | the actor that offers a machine's slots, and the farms it offers them to |
| slot, program, outgoing, words | one slot, the process behind it, and what the two say |
| job, payload, failure | functions by name, values and exceptions that travel |
| reports, pace | what farms and workers tell of themselves |
| durable | a batch that outlives its process, as the loop sees it |
| store, tables, records, salvage, moving, ballast, claim | the same as a SQLite file |

The decisions are in `rules/leases.py`, `rules/credit.py` and `rules/shares.py`.
"""
