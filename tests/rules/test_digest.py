import random

from hypothesis import given, settings
from hypothesis import strategies as st

from actormq.rules.digest import BUCKETS, Digest, bucket_of, fingerprint

few = settings(max_examples=30)
COUNT = st.integers(0, 99)
NODE = st.sampled_from([f"{n * 0x1357:016x}" for n in range(1, 13)])
KNOWN = st.dictionaries(NODE, st.tuples(COUNT, COUNT, COUNT), max_size=10)


def digest_of(known):
    digest = Digest()
    for node, what in known.items():
        digest.put(node, what)
    return digest


@few
@given(KNOWN, KNOWN, st.randoms())
def test_only_what_is_known_now_counts_not_how_it_came(known, before, chance):
    digest = digest_of(before)
    for node in set(before) - set(known):
        digest.drop(node)
    for node in chance.sample(sorted(known), len(known)):
        digest.put(node, known[node])
    fresh = digest_of(known)
    assert (digest.root, digest.buckets) == (fresh.root, fresh.buckets)
    assert len(digest) == len(known)
    assert dict(digest.entries()) == known


@few
@given(KNOWN, KNOWN)
def test_what_two_know_otherwise_is_in_the_buckets_that_differ(one, other):
    mine, its = digest_of(one), digest_of(other)
    differing = {node for node in one.keys() | other.keys() if one.get(node) != other.get(node)}
    buckets = mine.differing(its.buckets)
    assert set(buckets) == {bucket_of(node) for node in differing}
    assert (mine.root == its.root) is (not differing)
    listed = {node for node, _ in (*mine.entries(buckets), *its.entries(buckets))}
    assert listed >= differing


def test_each_part_of_what_is_known_is_in_the_fingerprint():
    node, other = "0" * 16, "1" + "0" * 15
    marks = {
        fingerprint(node, k) for k in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (11, 0, 0), (1, 10, 0)]
    }
    assert len(marks | {fingerprint(other, (1, 0, 0))}) == 6


def test_who_is_not_in_is_known_as_nothing_and_dropped_without_harm():
    digest = Digest()
    digest.drop("0" * 16)
    assert digest.known("0" * 16) == (0, 0, 0)
    assert (digest.root, len(digest)) == (0, 0)


def test_nodes_fall_into_all_buckets_alike():
    generator = random.Random(0)
    counts = [0] * BUCKETS
    for _ in range(100 * BUCKETS):
        counts[bucket_of(f"{generator.getrandbits(64):016x}")] += 1
    assert min(counts) > 50
    assert max(counts) < 150


@few
@given(KNOWN, KNOWN)
def test_a_copy_and_its_original_change_apart(known, later):
    original = digest_of(known)
    copy = original.copy()
    for node, what in later.items():
        copy.put(node, what)
    for node in known:
        copy.drop(node)
    left = {node: what for node, what in later.items() if node not in known}
    for digest, holds in ((original, known), (copy, left)):
        fresh = digest_of(holds)
        assert (digest.root, digest.buckets, len(digest)) == (fresh.root, fresh.buckets, len(fresh))
        assert dict(digest.entries()) == holds
