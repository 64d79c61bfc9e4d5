"""Ready specs, shipped with gridcnn and run by name."""

from __future__ import annotations

from importlib.resources import files

if __name__ != "gridcnn.pipelines":
    raise ImportError("this folder is the package gridcnn.pipelines; import it by that name")


def ready() -> dict[str, bytes]:
    """Return the YAML text of every ready spec, by name."""
    found = (file for file in files("gridcnn.pipelines").iterdir() if file.name.endswith(".yaml"))
    return {
        file.name.removesuffix(".yaml"): file.read_bytes()
        for file in sorted(found, key=lambda file: file.name)
    }
