"""`python -m actormq` is `actormq`."""

from actormq.cli import main

main(prog_name="actormq")
