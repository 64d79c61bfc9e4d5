"""A Ray cluster, started on this machine or joined at its address, and left at the end."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from gridcnn.cores import usable_cores, usable_memory
from gridcnn.errors import SpecError, UserError, quoted, shown, sized

VARIABLE = "GRIDCNN_CLUSTER"
LOCAL = "local"
_AUTHENTICATION = "RAY_AUTH_MODE"
_STORE = 2**29
"""Bytes of the object store of a local cluster; batches and parameters pass through it."""
_ANSWER_SECONDS = 10.0
_LEAST_STORE = 80 * 2**20  # Ray takes no less


@dataclass(frozen=True)
class Cluster:
    """What a command asks of a cluster.

    Attributes:
        address: `local`, or the address of a cluster that runs, such as `10.0.0.1:6379` or `auto`.
        workers: how many processes work; None: one for each core of the cluster, of those that each
            one's threads leave.
        threads: the threads of each worker.

    Raises:
        SpecError: a number is below 1.
    """

    address: str = LOCAL
    workers: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value >= 1):
                raise SpecError(f"{name} must be a whole number of at least 1; got {shown(value)}")


def read_cluster(address: str | None, workers: int | None, threads: int | None) -> Cluster | None:
    """Return the cluster that is asked for; None if none is.

    Raises:
        SpecError: there are workers, and no cluster.
    """
    address = address or os.environ.get(VARIABLE, "").strip() or None
    if address is None:
        if workers is not None:
            raise SpecError(
                "workers belong to a cluster; add --cluster local (or cluster='local'), or the "
                "address of a Ray cluster"
            )
        return None
    return Cluster(address, workers, 1 if threads is None else threads)


def find_cluster(address: str | None, workers: int | None, threads: int | None) -> Cluster | None:
    """Return the cluster that is asked for, if it can be used; None if none is asked for.

    Before anything else is done: nothing is imported, started or joined.

    Raises:
        UserError: Ray is not installed, there is nothing at the address, or as `read_cluster`.
    """
    cluster = read_cluster(address, workers, threads)
    if cluster is not None:
        if importlib.util.find_spec("ray") is None:
            raise _missing()
        if cluster.address != LOCAL:
            _refuse_unreachable(cluster.address)
    return cluster


def need_ray() -> ModuleType:
    """Return Ray; raise `UserError` if it is not installed."""
    # Ray would count what its processes do, and send it to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker takes no graphics card unless it asks for one; Ray warns that this will be so.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError:
        raise _missing() from None
    module: ModuleType = ray
    return module


def _missing() -> UserError:
    return UserError(
        "a cluster needs Ray, which is not installed: python -m pip install 'gridcnn[cluster]'"
    )


@contextlib.contextmanager
def join(cluster: Cluster, *, cards: bool = False) -> Iterator[int]:
    """Start or join the cluster; yield how many workers there are to be, and leave it at the end.

    A cluster that was started ends with this process, however that ends. `cards` says whether each
    worker has a graphics card.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address, or it has too few
            cores or graphics cards.
    """
    ray = need_ray()
    if ray.is_initialized():
        yield _count(ray, cluster, cards=cards)
        return
    with _own_authentication():
        with _silence(), _own_signals():
            _start(ray, cluster, cards=cards)
        try:
            yield _count(ray, cluster, cards=cards)
        finally:
            with _silence(), _own_signals():
                ray.shutdown()


def _start(ray: Any, cluster: Cluster, *, cards: bool) -> None:
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "namespace": f"gridcnn-{os.getpid()}",
    }
    if cluster.address == LOCAL:
        cores = usable_cores()
        wanted = cluster.threads * (cluster.workers or 1)
        memory = usable_memory()
        store = _STORE if memory is None else max(_LEAST_STORE, min(_STORE, memory // 4))
        try:
            ray.init(
                address="local",
                # Workers that are asked for are had, also if there are fewer cores.
                num_cpus=max(cores, wanted),
                num_gpus=None if cards else 0,  # None: as many as Ray finds
                include_dashboard=False,
                object_store_memory=store,
                **options,
            )
        except Exception as error:  # Ray raises nothing more precise
            raise _no_start(error) from None
        return
    _refuse_unreachable(cluster.address)
    try:
        ray.init(address=cluster.address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        if not os.environ.get(_AUTHENTICATION):
            reason += f" (if it asks for a token: {_AUTHENTICATION}=token)"
        raise _no_cluster(cluster.address, reason) from None


def _no_start(error: Exception) -> UserError:
    """Return the error for Ray that does not start on this machine, with what is likely."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        free = sized(shutil.disk_usage(folder).free)
    except OSError as reason:
        free = str(reason.strerror or reason)
    text = str(error).strip().partition("\n")[0]
    return UserError(
        f"Ray does not start on this machine: {text}. Its files are in {quoted(folder)} (free: "
        f"{free}); name a folder with more room in RAY_TMPDIR, or train without --cluster"
    )


def _refuse_unreachable(address: str) -> None:
    """Raise if nothing listens at an address: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535 or "/" in host:
        raise SpecError(
            f"{quoted(address)} is not the address of a cluster; take local, auto, or HOST:PORT as "
            "`ray start --head` prints it, such as 10.0.0.1:6379"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, str(error.strerror or error)) from None


def _no_cluster(address: str, reason: str) -> UserError:
    return UserError(
        f"there is no Ray cluster at {quoted(address)}: {reason}; start one with `ray start "
        "--head`, and name its address, or take --cluster local"
    )


def _count(ray: Any, cluster: Cluster, *, cards: bool) -> int:
    """Return how many workers there are to be.

    Raises:
        UserError: the cluster has fewer cores or graphics cards than they need.
    """
    resources = ray.cluster_resources()
    cores = int(resources.get("CPU", 0))
    most = cores // cluster.threads
    if cards:
        found = int(resources.get("GPU", 0))
        if found < (cluster.workers or 1):
            raise UserError(
                f"the cluster has {found} graphics cards, and each of {cluster.workers or 1} "
                "workers needs one; take fewer workers, add machines, or add --device cpu"
            )
        most = min(most, found)
    if most < (cluster.workers or 1):
        raise UserError(
            f"the cluster has {cores} cores, and {cluster.workers or 1} workers of "
            f"{cluster.threads} threads each need more; take fewer workers or threads, or add "
            "machines"
        )
    return cluster.workers or most


@contextlib.contextmanager
def _own_authentication() -> Iterator[None]:
    """Keep how this process proves who it is to a cluster.

    A local cluster asks for a token, and Ray says so in the environment. That would be left behind,
    for this process and all that it starts: other clusters may have no token, and none of their
    workers could be used.
    """
    before = os.environ.get(_AUTHENTICATION)
    try:
        yield
    finally:
        if os.environ.get(_AUTHENTICATION) != before:
            # Ray reads the environment again, and keeps what it had if the variable is missing.
            os.environ[_AUTHENTICATION] = before or "disabled"
            with contextlib.suppress(ImportError, AttributeError):
                from ray._raylet import AuthenticationTokenLoader, Config

                Config.initialize("")
                AuthenticationTokenLoader.instance().reset_cache()
            if before is None:
                del os.environ[_AUTHENTICATION]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep Ray's remarks about its own business away from users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does when it is told to end: Ray would replace it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
