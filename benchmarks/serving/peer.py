"""The same model in ONNX Runtime behind the same web server, written as it usually is.

`python -m benchmarks.serving.peer MODEL NETWORK.onnx PORT`: the adapter is gridcnn's own, so that
the same pictures give the same votes; each request runs the network once, on its own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gridcnn.model import load


def application(model_path: str, network: str) -> Starlette:
    """Return the application: one route, one picture a request."""
    model = load(model_path)
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    (entry,) = (each.name for each in session.get_inputs())

    async def predict(request: Request) -> JSONResponse:
        grid = model.adapter.adapt(await request.body())
        logits = session.run(None, {entry: grid[None]})[0].reshape(1, -1)
        votes = np.exp(logits - logits.max())
        votes /= votes.sum()
        named = dict(zip(map(str, model.classes), votes[0].tolist(), strict=True))
        answer = {
            "item": "body",
            "answer": max(named, key=lambda name: named[name]),
            "votes": named,
        }
        return JSONResponse({"answers": [answer]})

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1], sys.argv[2]),
        port=int(sys.argv[3]),
        access_log=False,
        log_level="error",
        loop="uvloop",
        http="httptools",
    )
