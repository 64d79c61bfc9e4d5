"""What is asked of a cluster, and which processor all compute for; without Ray."""

from __future__ import annotations

import dataclasses
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import gridcnn
from gridcnn.cluster.crew import Crew, common_kind
from gridcnn.cluster.engine import ClusterEngine
from gridcnn.cluster.joining import (
    Cluster,
    _own_authentication,
    join,
    need_ray,
    read_cluster,
)
from gridcnn.cluster.sharing import share
from gridcnn.contracts.stage import Stage
from gridcnn.engines.base import make_engine
from gridcnn.engines.native.processor import processor
from gridcnn.errors import EngineError, SpecError, UserError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.stages.rectification import Rectification

OWN = processor()
LEVELS = ["native", "generic", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"]


def network(*stages: Any) -> Network:
    return Network(load({"stages": list(stages), "head": "voting"}), GridShape(1, 8, 8), classes=2)


def test_the_variable_names_a_cluster_where_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GRIDCNN_CLUSTER", raising=False)
    assert read_cluster(None, None, 2) is None
    assert read_cluster("local", None, None) == Cluster("local", None, 1)

    monkeypatch.setenv("GRIDCNN_CLUSTER", "10.0.0.1:6379")
    assert read_cluster(None, 3, 2) == Cluster("10.0.0.1:6379", 3, 2)
    assert read_cluster("local", 3, 2) == Cluster("local", 3, 2)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_numbers_of_workers_that_make_no_sense_are_told(workers: Any) -> None:
    with pytest.raises(SpecError, match="workers must be a whole number of at least 1; got"):
        read_cluster("local", workers, None)


def test_workers_without_a_cluster_are_told() -> None:
    with pytest.raises(SpecError, match="workers belong to a cluster; add --cluster local"):
        gridcnn.run("xo", workers=2)


def test_without_ray_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(UserError, match=r"python -m pip install 'gridcnn\[cluster\]'"):
        need_ray()
    with pytest.raises(UserError, match="a cluster needs Ray, which is not installed"):
        gridcnn.run("xo", cluster="local")


@pytest.mark.parametrize("address", ["nowhere", "ray://10.0.0.1:10001", "10.0.0.1:99999", ":6379"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with (
        pytest.raises(SpecError, match="is not the address of a cluster; take local, auto, or"),
        join(Cluster(address)),
    ):
        pass


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with (
        pytest.raises(UserError, match=r"no Ray cluster at '127.0.0.1:1': Connection refused; sta"),
        join(Cluster("127.0.0.1:1")),
    ):
        pass
    with pytest.raises(UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        gridcnn.run("xo", cluster="127.0.0.1:1")


@pytest.mark.parametrize("before", [None, "disabled"])
def test_a_local_cluster_leaves_no_way_to_prove_who_one_is(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray sets the variable for the cluster that it starts; another one may know no token."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if before is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", before)

    with _own_authentication():
        os.environ["RAY_AUTH_MODE"] = "token"
    assert os.environ.get("RAY_AUTH_MODE") == before


def test_workers_that_die_as_they_start_are_not_asked_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class DeadError(Exception):
        """Stands for what Ray raises if a worker has died."""

    asked: list[int] = []

    class Ray:
        exceptions = SimpleNamespace(RayError=DeadError)

        def put(self, value: Any) -> None: ...

        def remote(self, **_: Any) -> Any:
            return lambda kind: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

        def wait(self, refs: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
            return refs[:1], refs[1:]

        def get(self, ref: Any) -> Any:
            raise DeadError

    def start(number: int, threads: int) -> Any:
        asked.append(number)
        return SimpleNamespace(kinds=SimpleNamespace(remote=lambda: number))

    monkeypatch.setattr("gridcnn.cluster.crew.need_ray", Ray)
    with pytest.raises(EngineError, match="workers die as they start"):
        Crew(2, 1)
    assert len(asked) < 30


def test_equal_processors_are_used_as_they_are() -> None:
    assert common_kind((OWN, LEVELS), [(OWN, LEVELS), (OWN, LEVELS)]) is None


def test_different_processors_are_taken_for_the_best_that_all_can_be() -> None:
    other = dataclasses.replace(OWN, name="another")

    assert common_kind((OWN, LEVELS), [(OWN, LEVELS), (other, LEVELS[:5])]) == "x86-64-v3"
    assert common_kind((OWN, LEVELS), [(other, LEVELS)]) == "x86-64-v4"


def test_processors_that_have_nothing_in_common_are_refused() -> None:
    arm = dataclasses.replace(OWN, name="neoverse")

    with pytest.raises(EngineError, match="different kinds of processors, which give different"):
        common_kind((OWN, LEVELS[:1]), [(arm, ["native", "generic"])])


def test_only_the_native_engine_trains_on_a_cluster() -> None:
    reference = make_engine(network("rectification"), "reference")

    with pytest.raises(
        EngineError, match="with the native engine, or with torch; the engine is ref"
    ):
        share(reference, Cluster()).__enter__()


def test_a_stage_without_a_kernel_is_told() -> None:
    class Own(Rectification):
        """A stage of another package."""

    whole = network("rectification")
    object.__setattr__(whole.ops[0], "stage", Own())
    assert isinstance(whole.ops[0].stage, Stage)

    with pytest.raises(EngineError, match="only networks whose stages all have kernels"):
        ClusterEngine(whole, workers=1)
