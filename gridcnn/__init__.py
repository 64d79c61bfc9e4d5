"""Classify anything that can be made to look like an image, from one short declarative spec.

Names load when they are first used, so that `import gridcnn` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` and `importlib` are loaded when they are needed
if TYPE_CHECKING:
    from typing import Any

    from gridcnn.checking import check
    from gridcnn.comparison import Comparison, PairedTest, compare
    from gridcnn.cross_validation import CrossValidation, cross_validate
    from gridcnn.errors import (
        ColumnPermutableError,
        DataError,
        EngineError,
        GridcnnError,
        ModelFileError,
        ReportWarning,
        RunFolderError,
        ShapeError,
        SpecError,
        StopTraining,
        TrainingError,
        TrainingInterrupted,
        TrainingWarning,
        UnfinishedRunWarning,
        UnknownNameError,
        UserError,
    )
    from gridcnn.estimator import GridClassifier
    from gridcnn.evaluation import Evaluation, evaluate
    from gridcnn.export.importing.reading import import_onnx
    from gridcnn.grid import Axis, Grids, GridShape, OneHot
    from gridcnn.model import Model, load
    from gridcnn.network import Network
    from gridcnn.order.verdict import Verdict
    from gridcnn.pipeline import Pipeline
    from gridcnn.repetition import Repetition, repeat
    from gridcnn.runs.outcome import Run
    from gridcnn.runs.records import MLflowWatcher, TensorBoardWatcher
    from gridcnn.runs.run import run
    from gridcnn.runs.watcher import RunWatcher
    from gridcnn.spec.models import Spec
    from gridcnn.tuning.rate import RateSweep, find_learning_rate
    from gridcnn.tuning.search import Tuning, tune
    from gridcnn.tuning.trials import TuneTrial
    from gridcnn.tuning.watcher import TuneWatcher
    from gridcnn.version import VERSION as __version__  # noqa: N811 - the name that all look for

__all__ = [
    "Axis",
    "ColumnPermutableError",
    "Comparison",
    "CrossValidation",
    "DataError",
    "EngineError",
    "Evaluation",
    "GridClassifier",
    "GridShape",
    "GridcnnError",
    "Grids",
    "MLflowWatcher",
    "Model",
    "ModelFileError",
    "Network",
    "OneHot",
    "PairedTest",
    "Pipeline",
    "RateSweep",
    "Repetition",
    "ReportWarning",
    "Run",
    "RunFolderError",
    "RunWatcher",
    "ShapeError",
    "Spec",
    "SpecError",
    "StopTraining",
    "TensorBoardWatcher",
    "TrainingError",
    "TrainingInterrupted",
    "TrainingWarning",
    "TuneTrial",
    "TuneWatcher",
    "Tuning",
    "UnfinishedRunWarning",
    "UnknownNameError",
    "UserError",
    "Verdict",
    "__version__",
    "check",
    "compare",
    "cross_validate",
    "evaluate",
    "find_learning_rate",
    "import_onnx",
    "load",
    "repeat",
    "run",
    "tune",
]

_ERRORS = [name for name in __all__ if name.endswith("Error")]
_ERRORS += ["ReportWarning", "StopTraining", "TrainingInterrupted", "TrainingWarning"]
_ERRORS += ["UnfinishedRunWarning"]
_HOMES = {
    **dict.fromkeys(_ERRORS, "gridcnn.errors"),
    "Axis": "gridcnn.grid",
    "Comparison": "gridcnn.comparison",
    "CrossValidation": "gridcnn.cross_validation",
    "Evaluation": "gridcnn.evaluation",
    "GridClassifier": "gridcnn.estimator",
    "GridShape": "gridcnn.grid",
    "Grids": "gridcnn.grid",
    "MLflowWatcher": "gridcnn.runs.records",
    "Model": "gridcnn.model",
    "Network": "gridcnn.network",
    "OneHot": "gridcnn.grid",
    "PairedTest": "gridcnn.comparison",
    "Pipeline": "gridcnn.pipeline",
    "RateSweep": "gridcnn.tuning.rate",
    "Repetition": "gridcnn.repetition",
    "Run": "gridcnn.runs.outcome",
    "RunWatcher": "gridcnn.runs.watcher",
    "Spec": "gridcnn.spec.models",
    "TensorBoardWatcher": "gridcnn.runs.records",
    "TuneTrial": "gridcnn.tuning.trials",
    "TuneWatcher": "gridcnn.tuning.watcher",
    "Tuning": "gridcnn.tuning.search",
    "Verdict": "gridcnn.order.verdict",
    "check": "gridcnn.checking",
    "compare": "gridcnn.comparison",
    "cross_validate": "gridcnn.cross_validation",
    "evaluate": "gridcnn.evaluation",
    "find_learning_rate": "gridcnn.tuning.rate",
    "import_onnx": "gridcnn.export.importing.reading",
    "load": "gridcnn.model",
    "repeat": "gridcnn.repetition",
    "run": "gridcnn.runs.run",
    "tune": "gridcnn.tuning.search",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        return importlib.import_module("gridcnn.version").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'gridcnn' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
