"""Functions by name: how they are named, found and run."""

import functools
import math
import sys

import msgpack
import pytest
import work

from actormq import Actor, SetupError
from actormq.elsewhere import finding
from actormq.errors import ActormqError, NotEncodable, RestartLimitReached, TaskFailed
from actormq.farm import failure as failures
from actormq.farm.failure import Failure, failure_of, rebuilt
from actormq.farm.job import Job, job_of, load, load_initializer, target_of
from actormq.farm.payload import packed, payload_codec, value_limit, values_of

CODEC = payload_codec(1 << 20)

SCRIPT = """
from dataclasses import dataclass
from actormq import run

def squared(n: int) -> int:
    return n * n

class Wrong(Exception):
    pass

def wrong(n):
    raise Wrong(n)

run(lambda node: None)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A user's script, the main program as far as its functions can see."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    monkeypatch.delitem(sys.modules, finding.LOADED_MAIN, raising=False)
    finding.load_main(str(path), None)
    main = sys.modules.pop(finding.LOADED_MAIN)
    main.__name__, main.__spec__ = "__main__", None
    for thing in (main.squared, main.Wrong, main.wrong):
        thing.__module__ = "__main__"
    monkeypatch.setitem(sys.modules, "__main__", main)
    job_module = sys.modules[job_of.__module__]
    job_module._own_main.cache_clear()
    yield main
    sys.modules.pop(finding.LOADED_MAIN, None)
    job_module._own_main.cache_clear()


class Plain:
    def method(self):
        pass

    @staticmethod
    def static(value):
        return value


def outer():
    def inner(value):
        return value

    return inner


@functools.lru_cache
def kept(value):
    return value


bound = Plain().method
other_name = functools.wraps(work.same)(lambda value: value)


@pytest.mark.parametrize(
    ("function", "target"),
    [
        (work.same, "work:same"),
        (work.Tool.made, "work:Tool.made"),
        (work.Counter, "work:Counter"),
        (work.Two.other, "work:Two.other"),
        (Plain.static, "test_job:Plain.static"),
        (kept, "test_job:kept"),
        (pow, "builtins:pow"),
        (int, "builtins:int"),
        (str.upper, "builtins:str.upper"),
        (dict.fromkeys, "builtins:dict.fromkeys"),
        (math.sqrt, "math:sqrt"),
        ("os.path:join", "os.path:join"),
        ("work:Two.one", "work:Two.one"),
    ],
)
def test_what_has_a_name_is_named_by_it(function, target):
    assert target_of(function) == target
    load(Job(target))


class Silent(Actor):
    pass


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (work.shy, r"a lambda .*: write it as a def at the top of its module"),
        (outer(), r"inner is defined inside a function, where a worker cannot find it: move the"),
        (work.half, r"partial.*: write a function at the top of a module"),
        (bound, r"is bound to an object, which does not travel"),
        ([].append, r"is bound to an object"),
        (5, r"5 cannot be called: a farm takes a function"),
        (other_name, r"work:same is not where its name says, and a worker would not find it"),
        (work.Two, r"Two has not exactly one handler.*answers, one, other: name one, such as"),
        (Silent, r"Silent has not exactly one handler for the tasks, but none: mark one"),
        (work.Two.unmarked, r"work:Two.unmarked is not a handler: mark the method with @handler"),
        (math.nan, r"nan cannot be called"),
        (math, r"cannot be called"),
        ("work", r"'work' names no function: write MODULE:FUNCTION"),
        ("work:", r"names no function"),
        ("work:nothing", r"there is no 'nothing' in module 'work': check the name"),
        ("work:SET", r"work:SET is no function, but list"),
        ("no_such_module:f", r"'no_such_module' cannot be imported here: No module named"),
        ("work:Two", r"has not exactly one handler"),
    ],
)
def test_what_no_worker_could_find_is_refused_with_the_way_out(function, why):
    with pytest.raises(SetupError, match=why):
        job_of(function)


def test_a_function_typed_into_a_session_is_refused(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(outer, "__module__", "__main__")
    with pytest.raises(SetupError, match="was typed into a session, which a worker cannot read"):
        job_of(outer)


def test_a_job_travels_as_it_is():
    job = job_of(work.plus, "call", work.set_up, msgpack.packb([1]))
    [again] = CODEC.unpack_all(CODEC.pack_value("", job))
    assert Job(*again[:4], tuple(again[4])) == job
    assert job.main == ("", "")
    assert load_initializer(job) is work.set_up


def test_a_function_of_the_script_is_found_in_that_script_only(script, tmp_path):
    job = job_of(script.squared)
    assert (job.target, job.main[0]) == ("__main__:squared", str(tmp_path / "script.py"))

    assert load(job).run(5) == 25
    assert finding.LOADED_MAIN in sys.modules

    del sys.modules[finding.LOADED_MAIN]
    (tmp_path / "script.py").write_text(SCRIPT.replace("n * n", "n + n"))
    with pytest.raises(SetupError, match=r"script\.py is not here as it is where the tasks come"):
        load(job)
    (tmp_path / "script.py").unlink()
    with pytest.raises(SetupError, match="is not here"):
        load(job)


# -- failures -------------------------------------------------------------------------------------


def raised(function, *args):
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 any of them
        return failure_of(CODEC, error)
    raise AssertionError


def test_an_exception_of_the_script_is_that_of_the_main_program(script):
    failure = raised(load(job_of(script.wrong)).run, 5)
    assert failure.kind == "__main__:Wrong"
    error = rebuilt(CODEC, failure)
    assert type(error) is script.Wrong
    assert error.args == (5,)


class Noted(ValueError):
    def __str__(self):
        return f"{self.code} of {self.args[0]}"


def noted():
    error = Noted("a")
    error.code = 7
    error.add_note("and a note")
    raise error


def bad_text():
    class Bad(Exception):
        def __str__(self):
            raise OSError

    raise Bad


def too_much():
    raise ValueError("x" * 500_000)


def of_ours():
    raise RestartLimitReached("boss", "worker", 3, 5.0, "ValueError")


def group():
    raise ExceptionGroup("several", [ValueError("one")])


def syntax():
    compile("1 +", "file.py", "eval")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (noted, Noted),
        (of_ours, RestartLimitReached),
        (syntax, SyntaxError),
        (bad_text, TaskFailed),
        (too_much, TaskFailed),
        (group, TaskFailed),
    ],
)
def test_an_exception_is_made_again_or_told(function, kind):
    failure = raised(function)
    error = rebuilt(CODEC, failure)
    assert type(error) is kind
    if kind is not TaskFailed:
        assert str(error) == failure.text
    if function is noted:
        assert (error.code, error.__notes__) == (7, ["and a note"])
    assert len(failure.traceback) < 2 * failures.TRACEBACK_LIMIT


@pytest.mark.parametrize(
    "failure",
    [
        Failure("no_such_module:Error", "text", msgpack.packb([])),
        Failure("work:same", "text", msgpack.packb([])),
        Failure("builtins:int", "5", msgpack.packb([5])),
        Failure("builtins:SystemExit", "5", msgpack.packb([5])),
        Failure("", "text", msgpack.packb([])),
        Failure("builtins:ValueError", "text", b"\xc1"),
        Failure("builtins:ValueError", "text", msgpack.packb(5)),
        Failure("builtins:ValueError", "text", msgpack.packb(["text"]), msgpack.packb([5])),
        Failure("builtins:ValueError", "another text", msgpack.packb(["text"])),
    ],
)
def test_what_cannot_be_made_again_is_told(failure):
    error = rebuilt(CODEC, failure)
    assert type(error) is TaskFailed
    assert isinstance(error, ActormqError)
    assert error.text == failure.text


# -- payloads -------------------------------------------------------------------------------------


def test_what_a_reader_would_not_read_is_not_packed():
    codec = payload_codec(1 << 20)
    most = [[]] * 249_999
    assert values_of(codec, packed(codec, "a", most) * 3) == [most] * 3
    with pytest.raises(NotEncodable, match="more than 250000 lists"):
        packed(codec, "a", [*most, []])


def test_the_limit_of_a_value_is_that_of_what_it_travels_in():
    assert value_limit(4 << 20, 256 << 20, 64 << 20) == 64 << 20
    assert value_limit(4 << 20, 32 << 20, 64 << 20) == 32 << 20
    assert value_limit(4096, 256 << 20, 64 << 20) == 4096 - 512


UNGUARDED = """
import asyncio
from actormq import Node

def squared(n: int) -> int:
    return n * n

async def main():
    async with Node(discovery=False) as node:
        raise AssertionError(f"{node.name} runs in a process of a worker")

asyncio.run(main())
"""


def test_a_script_that_starts_its_node_by_itself_needs_no_guard(tmp_path, monkeypatch):
    path = tmp_path / "script.py"
    path.write_text(UNGUARDED)
    monkeypatch.delitem(sys.modules, finding.LOADED_MAIN, raising=False)
    finding.load_main(str(path), None)
    assert sys.modules.pop(finding.LOADED_MAIN).squared(3) == 9
