"""Adapters: each turns a raw thing (a picture, an array, ...) into grids."""

if __name__ != "gridcnn.adapters":
    raise ImportError("this folder is the package gridcnn.adapters; import it by that name")
