"""Training on a cluster, if there is one; the compiler is loaded with the workers alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gridcnn.cluster.joining import Cluster, join
from gridcnn.engines.base import Engine
from gridcnn.errors import EngineError


@contextlib.contextmanager
def share(engine: Engine, cluster: Cluster | None) -> Iterator[Engine]:
    """Yield an engine that trains on a cluster, with the results of `engine`; itself without one.

    Raises:
        EngineError: it is not the native engine, or its training steps cannot be shared.
        UserError: there is no such cluster.
    """
    if cluster is None:
        yield engine
        return
    from gridcnn.cluster.engine import ClusterEngine
    from gridcnn.engines.native.engine import NativeEngine

    if type(engine) is not NativeEngine:
        raise EngineError(
            f"workers of a cluster train with the native engine; the engine is {engine.name}"
        )
    with join(cluster) as workers:
        shared = ClusterEngine(engine.network, workers=workers, threads=cluster.threads)
        try:
            yield shared
        finally:
            shared.dismiss()
