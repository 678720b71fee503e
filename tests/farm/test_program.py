"""What runs in a slot's process: values in, values out, and failures."""

import signal

import msgpack
import pytest
import work
from slots import CODEC, Bench

from actormq.errors import ArgumentMismatch, ResultRefused, TaskFailed
from actormq.farm.failure import rebuilt
from actormq.farm.job import job_of

pytestmark = pytest.mark.slow

MB = 1_000_000


@pytest.fixture
def bench(node, _actormq_loop):
    bench = _actormq_loop.run(Bench.on(node))
    yield bench
    _actormq_loop.run(bench.slot.close(0))


async def test_payloads_are_values_calls_or_chunks_and_fit_the_annotations(bench):
    run = bench.run

    assert await run(work.double, 1, 2) == [2, 4]
    assert await run(work.mirrored, {"x": 1, "y": 2}) == [{"x": 2, "y": 1}]
    assert await run(work.add, 1) == [111]
    assert await run(work.add, [[1], {}], [[1, 2], {"c": 3}], mode="call") == [111, 6]
    assert await run(work.plus, [["a"], {"b": "b"}], mode="call") == ["ab"]
    assert await run(pow, [[2, 10], {}], mode="call") == [1024]
    chunks = [[1, 3], [2, 4]], [[], []], [["a"], ["b"]]
    assert await run(work.plus, *chunks, mode="chunk") == [[3, 7], [], ["ab"]]
    assert await run(work.double, [[1, 2]], mode="chunk") == [[2, 4]]
    assert await run(work.mirrored, [[{"x": 1, "y": 2}]], mode="chunk") == [[{"x": 2, "y": 1}]]
    assert await run("math:sqrt", 9) == [3.0]
    assert await run(work.Tool.made, 1) == [["Tool", 1]]
    [[first, loop], [second, same_loop]] = await run(work.later, 1, 2)
    assert (first, second, loop) == (1, 2, same_loop)
    assert await run(work.end_of_a_fork, 0) == [-signal.SIGTERM]
    # its standard input is empty
    assert await run(work.names, 0) == [(False, "")]


async def test_an_actor_is_made_once_and_its_handler_runs(bench):
    assert await bench.run(work.Counter, 1, 2) == [101, 103]
    assert await bench.run(work.Two.other, 5) == [-5]
    [failure] = await bench.run(work.Two.answers, 5)
    assert failure.is_final
    assert not (await bench.run(work.fail_with, "chained"))[0].is_final
    await bench.run(work.Unmakeable, 1)
    _, what, _, _, failure = bench.owner.told[-1]
    assert what == "broken"
    assert "needed" in failure.text


async def test_an_exception_comes_back_as_what_it_was(bench):
    def again(failure):
        return rebuilt(CODEC, failure)

    # several arguments made into one sentence
    [spoilt] = map(again, await bench.run(work.spoil, "eggs"))
    assert type(spoilt) is work.Spoilt
    assert (str(spoilt), spoilt.what, spoilt.count) == ("3 of eggs", "eggs", 3)
    lines = str(spoilt.__cause__).splitlines()
    assert lines[2:4] == ["Traceback (most recent call last):", lines[3]]
    assert "work.py" in lines[3], "our own frames are shown"
    assert lines[3].endswith("in spoil")

    texts = ["stranger", "missing", "interrupt", "ends", "unicode", "deep", "chained"]
    failures = await bench.run(work.fail_with, *texts)
    errors = dict(zip(texts, map(again, failures), strict=True))
    assert isinstance(errors["missing"], FileNotFoundError)
    assert errors["missing"].filename == "/no/such/file"
    assert isinstance(errors["unicode"], UnicodeDecodeError)
    assert errors["unicode"].object == b"\xff"
    assert isinstance(errors["deep"], RecursionError)
    assert isinstance(errors["chained"], ValueError)
    assert "KeyError: 'key'" in str(errors["chained"].__cause__)
    for text, kind in {
        "stranger": "work.Stranger",  # holds an object
        "interrupt": "KeyboardInterrupt",  # would end whoever meets it
        "ends": "StopIteration",  # would end their loop
    }.items():
        assert type(errors[text]) is TaskFailed
        assert errors[text].type == kind
    # one that this process does not know is not imported for it
    unknown = msgpack.unpackb(msgpack.packb(failures[0].kind)).replace("work", "this")
    [failure] = await bench.run(work.spoil, "eggs")
    failure = type(failure)(unknown, failure.text, failure.args)
    assert type(again(failure)) is TaskFailed
    # the process has lived through all that
    assert await bench.run(work.pid_of, 0) == [bench.slot.pid]


async def test_a_result_that_cannot_travel_fails_its_task_for_good_and_no_other(bench):
    results = await bench.run(work.no_form, 1)
    results += await bench.run(work.many_lists, 1, 300_000)
    results += await bench.run(work.zeros, 1, 20 * MB, 5 * MB, 100 * MB, 2)

    no_form, one, lists, *zeros = results
    assert one == [[]]
    assert [len(zeros[n]) for n in (0, 1, 2, 4)] == [1, 20 * MB, 5 * MB, 2]
    for failure, text in [
        (no_form, "cannot be encoded: "),
        (lists, "more than 250000 lists or maps"),
        (zeros[3], "100000005 bytes, over the limit of 67108864"),
    ]:
        assert failure.is_final
        assert text in failure.text
        assert type(rebuilt(CODEC, failure)) is ResultRefused


async def test_results_that_are_large_together_do_not_wait_for_each_other(bench):
    assert await bench.run(work.zeros, *[200_000] * 3, 10) == [bytes(200_000)] * 3 + [bytes(10)]
    assert bench.owner.count("done") >= 3


async def test_where_messages_are_small_failures_and_results_come_in_many(mesh):
    bench = Bench(await mesh.start(message_limit=100_000))
    try:
        failures = await bench.run(work.complain, *[25_000] * 20, 300_000)
        assert {failure.kind for failure in failures} == {"builtins:ValueError"}
        assert isinstance(rebuilt(CODEC, failures[0]), ValueError)
        *most, last = await bench.run(work.zeros, *[20_000] * 20, 200_000)
        assert most == [bytes(20_000)] * 20
        assert "over the limit of 99488" in last.text
    finally:
        await bench.slot.close(0)
    assert bench.owner.lost is None


async def test_payloads_may_be_large_and_a_bad_one_fails_its_task_alone(bench):
    assert await bench.run(len, b"a" * 20 * MB, b"") == [20 * MB, 0]
    wrong, right = await bench.run(work.double, "no number", 1)
    assert right == 2
    assert wrong.is_final
    error = rebuilt(CODEC, wrong)
    assert isinstance(error, ArgumentMismatch)
    assert str(error).startswith("work.double: argument 'value' should be int, got 'no number'")

    many = [[]] * 200_000
    assert await bench.run(len, many, many) == [200_000, 200_000]  # over the limit together only
    unread, read = await bench.run(len, many + many, many)
    assert read == 200_000
    assert "250000" in unread.text

    bench.slot.work(bench.job, [1_000, 1_001], b"\x01\xc1")
    await bench.owner.until(lambda: bench.slot.is_idle)
    assert "no msgpack" in bench.owner.failures[1_000].text
    assert 1_001 in bench.owner.failures


async def test_a_job_that_is_not_here_is_refused_without_a_run(tmp_path, monkeypatch, node):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "passing.py"
    file.write_text("def here(value):\n    return value\n")
    job = job_of("passing:here")
    bench = Bench(node)
    try:
        for text, why in [
            ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
            ("1 / 0\n", "ZeroDivisionError"),
            ("here = 5\n", "passing:here is no function, but int"),
        ]:
            file.write_text(text)
            ids = bench.give_anew(job, 1, 2)
            await bench.owner.until(lambda: bench.slot.is_idle)
            _, what, number, got, said = bench.owner.told[-1]
            assert (what, number, got) == ("cannot", bench.job, ids)
            assert why in said
        assert await bench.run(work.same, 1) == [1]
    finally:
        await bench.slot.close(0)


async def test_a_slot_loads_of_the_package_what_a_module_asks_for_and_no_more(
    tmp_path, monkeypatch, node
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "quick.py").write_text(
        "import sys\nfrom actormq import errors\n"
        "def loaded(_):\n    return 'actormq.node' in sys.modules, errors.__name__\n"
    )
    (tmp_path / "whole.py").write_text(
        "import actormq\nfrom actormq import run\nfrom actormq import Node\n"
        "def loaded(_):\n    return [run.__module__, Node.__name__, actormq.codec.__name__]\n"
    )
    bench = Bench(node)
    try:
        assert await bench.run("quick:loaded", 0) == [(False, "actormq.errors")]
        assert await bench.run("whole:loaded", 0) == [["actormq.run", "Node", "actormq.codec"]]
    finally:
        await bench.slot.close(0)


async def test_an_initializer_runs_once_before_the_first_task(bench):
    how = {"initializer": work.set_up, "initargs": msgpack.packb([1, "two"])}
    assert await bench.run(work.what_is_set, 0, 0, **how) == [[1, "two"]] * 2
    ids = bench.give(work.what_is_set, 0, initializer=work.set_up_badly)
    ids += bench.give(work.what_is_set, 0, initializer=work.set_up_badly)
    await bench.owner.until(lambda: bench.slot.is_idle)
    broken = [told for told in bench.owner.told if told[1] == "broken"]
    assert [told[3] for told in broken] == [[ids[0]], [ids[1]]]
    assert isinstance(rebuilt(CODEC, broken[0][4]), ValueError)
    assert "no disk" in broken[0][4].text


async def test_what_a_task_prints_is_on_standard_error(capfd, node):
    bench = Bench(node)
    await bench.run(work.shout, "loud")
    await bench.slot.close(0)
    assert capfd.readouterr() == ("", "loud\nan end without a line")
