"""Data sets: makers of synthetic data, readers of folders, manifests and arrays, and splits."""

if __name__ != "gridcnn.datasets":
    raise ImportError("this folder is the package gridcnn.datasets; import it by that name")
