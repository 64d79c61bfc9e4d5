"""A server in a process of its own: `python process.py LIMITS ACCESS NAME=MODEL...`, both as JSON.

It says its address on standard error, as the command does, and takes limits that have no option.
"""

from __future__ import annotations

import json
import sys

from gridcnn.serve.app import Access
from gridcnn.serve.limits import Limits
from gridcnn.serve.models import Models, Place
from gridcnn.serve.server import listen, serve


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


limits = Limits(**json.loads(sys.argv[1]))
about = json.loads(sys.argv[2])
about["origins"] = frozenset(about.get("origins", ()))
access = Access(**about)
models = Models([Place.of(text) for text in sys.argv[3:]], limits, threads=1)
with listen("127.0.0.1", 0) as listening:
    serve(models, listening, limits=limits, access=access, say=say)
say("ended")
