"""A Ray cluster of two nodes on this machine, which all tests here share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from gridcnn.cluster.joining import need_ray


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """A cluster with a node of one core, and one of three."""
    pytest.importorskip("ray", reason="Ray is not installed")
    with warnings.catch_warnings():
        # Ray leaves files open, and warns of what it will change.
        warnings.simplefilter("ignore")
        need_ray()
        from ray.cluster_utils import Cluster

        memory = 100 * 2**20
        head = {"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=3, object_store_memory=memory)
        yield cluster
        cluster.shutdown()
