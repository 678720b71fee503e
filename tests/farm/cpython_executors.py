"""The executors that CPython's own tests are run against, as its tests make them."""

import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import actormq


class Pool(ProcessPoolExecutor):
    """Python's own, with processes that are started anew as ours are."""

    def __init__(self, max_workers=None, mp_context=None, **options):
        super().__init__(max_workers, multiprocessing.get_context("spawn"), **options)


class Actors(actormq.Executor):
    """Ours, in a mesh of its own."""

    def __init__(self, max_workers=None, mp_context=None, **options):
        # The tests read all of what is printed: no word that it waits for workers, for one.
        logging.getLogger("actormq").setLevel(logging.ERROR)
        mesh = os.environ["ACTORMQ_TEST_MESH"]
        super().__init__(max_workers, mesh=mesh, discovery=False, **options)


KINDS = {"pool": Pool, "actormq": Actors}
