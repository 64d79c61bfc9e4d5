"""A Ray cluster of two nodes on this machine, which all tests here share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from gridcnn.cluster.joining import need_ray


class Nodes:
    """A cluster with a node of one core, and one of three; started again if a part of it has died.

    It takes a sixth of the time of these tests to start one, so that they share it. A busy machine
    may let Ray take a node for dead, and what follows would fail for that alone.
    """

    def __init__(self) -> None:
        self.cluster: Any = None

    def whole(self) -> Any:
        """Return the cluster, with both nodes alive."""
        if self.cluster is not None and not self._is_whole():
            self.close()
        if self.cluster is None:
            self.cluster = _start()
        return self.cluster

    def _is_whole(self) -> bool:
        alive = [node for node in self.cluster.global_state.node_table() if node["Alive"]]
        nodes = self.cluster.list_all_nodes()
        return len(alive) == 2 and all(node.remaining_processes_alive() for node in nodes)

    def close(self) -> None:
        if self.cluster is not None:
            self.cluster.shutdown()
        self.cluster = None


@pytest.fixture(scope="session")
def shared_nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray", reason="Ray is not installed")
    # On a busy machine, nodes take long to start.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "180")
    need_ray()
    nodes = Nodes()
    yield nodes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes.close()


@pytest.fixture
def nodes(shared_nodes: Nodes) -> Any:
    """The cluster that all tests share."""
    with warnings.catch_warnings():
        # Ray leaves files open, and warns of what it will change.
        warnings.simplefilter("ignore")
        return shared_nodes.whole()


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
