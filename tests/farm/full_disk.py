"""Uses a store on a disk that gets full, and prints `ok` if nothing is lost.

`python full_disk.py FOLDER` mounts a disk of its own in memory there: run it as root, in a mount
namespace of its own (`unshare -m`).
"""

import subprocess
import sys
from pathlib import Path

from actormq.errors import StoreError, StoreFull
from actormq.farm import store, tables
from actormq.farm.records import Outcome
from actormq.farm.store import Store

JOB = "words:count one"
DISK = 1 << 20  # bytes
store.BALLAST = 128 << 10  # bytes
tables.CHECKPOINT_PAGES = 50  # 200 KiB: so the disk also gets full while the log is moved


def payload(number):
    return (b"task %d " % number * 80)[:500]


def outcome(number):
    return Outcome(
        number, 1, is_failure=False, payload=payload(number)[::-1][:200], seconds=0.5, node="roof"
    )


def mount(folder, size, *options):
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", folder],
        check=True,
    )


def accept_all(batch, most):
    """Accept groups until there is no room; say whether there was none."""
    while (first := batch.accepted_count) < most:
        try:
            batch.accept([(number, payload(number)) for number in range(first, first + 16)])
        except StoreFull:
            return batch.accepted_count == first
    return False


def check(batch, accepted, recorded):
    assert batch.damaged == []
    assert batch.accepted_count == accepted
    assert [batch.payload(number) for number in range(accepted)] == [*map(payload, range(accepted))]
    assert batch.outcomes(-1, accepted) == [outcome(number) for number in range(recorded)]


def fill(path, room):
    """Leave that many bytes on the disk to others."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - room))


def one_batch(folder):
    """Fill the disk with tasks, end those under way, open it anew, make room, do all."""
    path = folder / "batch"
    batch = Store(path, JOB, resume=False)
    assert accept_all(batch, 100_000)
    accepted = batch.accepted_count
    assert accepted > 300, accepted
    assert path.with_name("batch-ballast").exists()

    batch.record([outcome(number) for number in range(100)])  # into the ballast's room
    assert not path.with_name("batch-ballast").exists()
    assert accept_all(batch, 100_000)  # no task takes that room
    check(batch, accepted, 100)
    batch.close()

    batch = Store(path, JOB, resume=True)
    check(batch, accepted, 100)
    assert accept_all(batch, 100_000)
    accepted = batch.accepted_count

    mount(folder, 8 * DISK, "remount")
    more = accepted + 1600
    assert not accept_all(batch, more)
    more = batch.accepted_count
    assert path.with_name("batch-ballast").exists()
    batch.record([outcome(number) for number in range(100, more)])
    batch.complete(more)
    check(batch, more, more)
    batch.close()
    batch = Store(path, JOB, resume=True)
    check(batch, more, more)
    assert batch.total == more
    batch.close()
    assert [entry.name for entry in folder.iterdir()] == ["batch"]


def each_room(folder):
    """Let the disk get full at each page that the store writes."""
    path, filler = folder / "batch", folder / "filler"
    for room in range(0, 160 << 10, 4 << 10):
        for entry in folder.iterdir():
            entry.unlink()
        batch = Store(path, JOB, resume=False)
        accept_all(batch, 64)
        fill(filler, room)
        assert accept_all(batch, 100_000)
        accepted = batch.accepted_count
        recorded = 0
        try:
            while recorded < accepted:
                batch.record([outcome(recorded)])
                recorded += 1
        except StoreFull:
            pass
        check(batch, accepted, recorded)
        assert recorded >= 20, (room, recorded)
        batch.close()  # the log may have to stay
        filler.unlink()
        batch = Store(path, JOB, resume=True)
        check(batch, accepted, recorded)
        assert not accept_all(batch, accepted + 16)
        batch.close()


def no_room_at_all(folder):
    """A new batch cannot begin, and leaves nothing behind."""
    fill(folder / "filler", 0)
    try:
        Store(folder / "batch", JOB, resume=False)
    except StoreFull:
        pass
    else:
        raise AssertionError("it began")
    assert [entry.name for entry in folder.iterdir()] == ["filler"]
    (folder / "filler").unlink()
    batch = Store(folder / "batch", JOB, resume=False)
    batch.accept([(0, payload(0))])
    batch.close()


def read_only(folder):
    """What cannot be written to is refused in one sentence."""
    path = folder / "batch"
    Store(path, JOB, resume=False).close()
    mount(folder, DISK, "remount", "ro")
    for name, why in (("batch", "it may not be written to"), ("other", "Read-only file system")):
        try:
            Store(folder / name, JOB, resume=True)
        except StoreError as error:
            said = str(error)
        assert why in said, said
        assert "\n" not in said


if __name__ == "__main__":
    for part in (one_batch, each_room, no_room_at_all, read_only):
        mount(sys.argv[1], DISK)
        part(Path(sys.argv[1]))
    sys.stdout.write("ok\n")
