"""Operators of ONNX, and what reads each: what our stages do under another name."""

from __future__ import annotations

from gridcnn.export.importing.activations import (
    read_activation,
    read_clip,
    read_error_function,
    read_rectification,
    read_softmax,
)
from gridcnn.export.importing.arithmetic import read_arithmetic
from gridcnn.export.importing.convolutions import read_convolution, read_dense, read_pad
from gridcnn.export.importing.forms import read_join, read_reshape, read_same, read_transpose
from gridcnn.export.importing.normalizations import (
    read_group_normalization,
    read_instance_normalization,
    read_normalization,
)
from gridcnn.export.importing.poolings import read_pooling, read_pooling_of_all
from gridcnn.export.importing.reader import Read

OPERATORS: dict[str, Read] = {
    "Add": read_arithmetic,
    "AveragePool": read_pooling,
    "BatchNormalization": read_normalization,
    "Cast": read_same,
    "Clip": read_clip,
    "Concat": read_join,
    "Conv": read_convolution,
    "Div": read_arithmetic,
    "Dropout": read_same,
    "Erf": read_error_function,
    "Flatten": read_reshape,
    "Gelu": read_activation,
    "Gemm": read_dense,
    "GlobalAveragePool": read_pooling_of_all,
    "GlobalMaxPool": read_pooling_of_all,
    "GroupNormalization": read_group_normalization,
    "Identity": read_same,
    "InstanceNormalization": read_instance_normalization,
    "LeakyRelu": read_rectification,
    "LogSoftmax": read_softmax,
    "MatMul": read_dense,
    "MaxPool": read_pooling,
    "Mul": read_arithmetic,
    "Pad": read_pad,
    "ReduceMax": read_pooling_of_all,
    "ReduceMean": read_pooling_of_all,
    "Relu": read_rectification,
    "Reshape": read_reshape,
    "Sigmoid": read_activation,
    "Softmax": read_softmax,
    "Squeeze": read_reshape,
    "Sub": read_arithmetic,
    "Swish": read_activation,
    "Tanh": read_activation,
    "Transpose": read_transpose,
    "Unsqueeze": read_reshape,
}
"""What reads each operator."""
