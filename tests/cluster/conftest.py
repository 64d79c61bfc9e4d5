"""A Ray cluster of two nodes on this machine, which all tests here share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from gridcnn.cluster.joining import need_ray


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster with a node of one core, and one of three."""
    pytest.importorskip("ray", reason="Ray is not installed")
    with warnings.catch_warnings():
        # Ray leaves files open, and warns of what it will change.
        warnings.simplefilter("ignore")
        # On a busy machine, nodes take long to start.
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "180")
        need_ray()
        cluster = _start()
        yield cluster
        cluster.shutdown()


def _start() -> Any:
    """Return the cluster once both nodes are there; Ray's own calls may not wait long enough."""
    from ray.cluster_utils import Cluster

    memory = 100 * 2**20
    head = {"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False}
    tries = 3
    while True:
        cluster = Cluster()
        try:
            cluster.add_node(**head)
            cluster.add_node(num_cpus=3, object_store_memory=memory)
        except Exception:
            cluster.shutdown()
            tries -= 1
            if not tries:
                raise
        else:
            return cluster
