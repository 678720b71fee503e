"""`actormq farm run`: a function over many inputs, on all cores there are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from actormq.cli.farm.batch import Batch, Plan
from actormq.cli.farm.inputs import checked_inputs
from actormq.cli.farm.results import STDOUT, Output, ResultFile, StandardOutput
from actormq.cli.options import node_options, quiet_option
from actormq.cli.running import warn_of_lan
from actormq.cli.said import log_warnings
from actormq.cli.words import counted
from actormq.ending import run_to_end
from actormq.errors import SetupError, StoreFull, one_line
from actormq.farm.farm import FarmOptions
from actormq.node import Node
from actormq.settings import NodeOptions
from actormq.topology import find_function

GRACE = 10.0  # s for tasks that run when the end is asked for
TO_STOP = 5.0  # s more for the node itself
RETRIES = 3


@click.command(
    epilog="\b\nExamples:\n"
    "  actormq farm run apps.farm.words:count actormq/*.py\n"
    "  actormq farm run resize:thumbnail photos/*.jpg --out sizes.jsonl --retries 1\n"
    "  actormq farm run tables:check - --workers 0 --min-workers 8 < names.txt\n"
    "  actormq farm run long:job - --durable jobs.sqlite --out jobs.jsonl --resume < jobs.txt\n",
)
@click.argument("target", metavar="MODULE:FUNCTION")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="How many tasks to run at a time here, 0 for none; by default one on each core.",
)
@click.option(
    "--min-workers",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Begin once so many workers are there, those of this machine among them.",
)
@click.option("--out", metavar="FILE", help="Write results to FILE, not to standard output.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=RETRIES,
    show_default=True,
    help="How often a task that raised, or took too long, is tried again.",
)
@click.option(
    "--task-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long one try may take; its process is ended then.",
)
@click.option(
    "--durable",
    metavar="FILE",
    help="Keep tasks and results in FILE, so that nothing is lost whatever is killed.",
)
@click.option(
    "--resume", is_flag=True, help="Go on where the run stopped that wrote these FILEs before."
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=GRACE,
    show_default=True,
    metavar="SECONDS",
    help="How long tasks may go on after Ctrl-C.",
)
@click.option("--name", help="The farm's name in `actormq farm status`; the function's by default.")
@node_options
@click.option(
    "--tracebacks", is_flag=True, help='Add a "traceback" to the lines of tasks that failed.'
)
@quiet_option
def run(
    target: str,
    inputs: tuple[str, ...],
    workers: int | None,
    min_workers: int,
    out: str | None,
    retries: int,
    task_timeout: float | None,
    durable: str | None,
    resume: bool,
    grace: float,
    name: str | None,
    options: NodeOptions,
    tracebacks: bool,
    quiet: bool,
) -> None:
    """Call a function once for each INPUT, on this machine and on all workers of the mesh.

    The function is found as `python -m` finds modules, the current folder first, and gets its
    INPUT as a text. With - as INPUT, each line of standard input is one; they are read as there is
    room for them.

    A result is a line of JSON, {"input": ..., "result": ..., "tries": n}, or "error" in place of
    "result". Lines come as tasks end.

    The exit status is 0 if all were done, 1 if some failed, 2 if the command is wrong, 130 after
    Ctrl-C: the first one lets what runs come to its end, the second one does not.
    """
    if resume and out in (None, STDOUT) and durable is None:
        raise click.UsageError("--resume goes on with --out FILE, --durable FILE or both")
    checked_inputs(inputs)
    log_warnings(quiet=quiet)
    function = find_function(target)
    options["shutdown_timeout"] = grace + TO_STOP
    farm = FarmOptions(name=name, workers=workers, min_workers=min_workers)
    if durable is not None:
        _check_durable(durable, resume=resume)
        farm["durable"] = durable
    if options.get("insecure_lan"):
        warn_of_lan()
    plan = Plan(function, inputs, farm, retries, task_timeout, grace, quiet, tracebacks)
    output: Output = (
        StandardOutput() if out is None or out == STDOUT else ResultFile(out, resume=resume)
    )
    try:
        status = _run(Batch(Node(**options), plan, output), output, durable)
    finally:
        output.close()
    click.get_current_context().exit(status)


def _run(batch: Batch, output: Output, durable: str | None) -> int:
    """Run it; say what came of it, and what to do next."""
    earlier = output.earlier
    if earlier.done:
        batch.say(f"{output.name} has {counted(earlier.done, 'result')}: goes on behind them")

    def end(task: asyncio.Task[None], number: int) -> None:
        if not batch.stop(number):
            task.cancel()

    try:
        run_to_end(batch.node, batch.main(), end)
    except BrokenPipeError as error:
        raise SetupError(f"standard output was closed: {batch.how_far()}") from error
    except StoreFull as error:
        raise SetupError(f"{error}: run it again with --resume then") from error
    except BaseException:
        if batch.done_count and Path(output.name).is_file():
            batch.say(f"results so far are in {output.name}: go on with --resume")
        raise
    batch.say(batch.summary())
    if batch.signal and not batch.is_complete:
        _fail(f"stopped before the end: {way_on(output.name, durable)}")
        return 128 + batch.signal
    failed = batch.failed_count + (0 if durable is not None else earlier.failed)
    if failed:
        where = f"in {output.name}" if output.name else "in what was printed"
        _fail(f'{counted(failed, "task")} failed: look for "error" {where}{_hint(batch, failed)}')
        return 1
    return 0


def way_on(out: str, durable: str | None) -> str:
    """Say how to go on with a run that was stopped, which wrote to these files, if to any."""
    if out or durable is not None:
        return "the same command with --resume goes on from here"
    return "nothing of this run was kept; one with --out FILE can be gone on with by --resume"


def _hint(batch: Batch, failed: int) -> str:
    """What may help, if all have failed in the same way, or nobody can see where they did."""
    if batch.misfit_count == failed and not batch.done_count:
        return "; inputs are texts: annotate the argument as str, or convert it"
    return "; --tracebacks adds where it was raised" if batch.hidden_count else ""


def _fail(sentence: str) -> None:
    click.echo(f"actormq: {one_line(sentence)}", err=True)


def _check_durable(path: str, *, resume: bool) -> None:
    """Make sure that nobody's tasks are taken for those of this run.

    Raises:
        SetupError: There are some already, and nobody said --resume.
    """
    there = Path(path)
    if not resume and there.is_file() and there.stat().st_size:
        raise SetupError(
            f"{path} is there already: go on with its tasks by --resume, or take another file"
        )
