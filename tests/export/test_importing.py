"""Files of ONNX as specs and models: of our own, of PyTorch, and as Keras writes them."""

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import gridcnn
from gridcnn.errors import ModelFileError, UserError
from gridcnn.export.importing.reading import Imported, import_onnx
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.network import add_network
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from tests.cli.invoke import TINY, cli

onnx: Any = pytest.importorskip("onnx", reason="the package onnx is not installed")
runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def write(network: Network, parameters: Array, path: Path, *, opset: int = 17) -> Path:
    graph = Graph(opset)
    grids = graph.input("grids", np.float32, ("items", *network.shape.sizes))
    votes = add_network(graph, network, parameters.astype(np.float32), grids)
    graph.output(votes, "votes", np.float32, ("items", network.classes or 0))
    path.write_bytes(graph.content("network", {}))
    return path


def check(path: Path, *, tolerance: float = 1e-5) -> Imported:
    """Import a file, and compare its votes with those of ONNX Runtime on other arrays."""
    made = import_onnx(path)
    assert made.difference <= tolerance
    return made


# Our own files ------------------------------------------------------------------------------------


@pytest.mark.slow
@hypothesis.given(data=st.data(), opset=st.sampled_from([13, 17, 20, 21]))
@hypothesis.settings(
    max_examples=30, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_random_networks_come_back(
    networks: ModuleType, tmp_path: Path, data: Any, opset: int
) -> None:
    case = data.draw(networks.graph_cases())

    check(write(case.network, case.parameters, tmp_path / "a.onnx", opset=opset))


@pytest.mark.long
@hypothesis.given(data=st.data(), opset=st.integers(13, 21))
@hypothesis.settings(
    max_examples=500, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_very_many_random_networks_come_back(
    networks: ModuleType, tmp_path: Path, data: Any, opset: int
) -> None:
    case = data.draw(networks.graph_cases())

    check(write(case.network, case.parameters, tmp_path / "a.onnx", opset=opset))


def test_an_exported_model_comes_back_whole(tmp_path: Path) -> None:
    """With its adapter and its classes: files are answered as before."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert cli("run", "tiny.yaml", "--out", "tiny", folder=tmp_path).exit_code == 0
    assert cli("export", "tiny", "--to", "onnx", "-o", "all.onnx", folder=tmp_path).exit_code == 0
    done = cli("import", "all.onnx", "-o", "no", folder=tmp_path)
    assert done.exit_code == 2
    assert "its adapter is inside; export it again with --input grid" in done.stderr
    done = cli("export", "tiny", "--to", "onnx", "--input", "grid", folder=tmp_path)
    assert done.exit_code == 0, done.output

    (tmp_path / "notes").write_text("mine")
    done = cli("import", "tiny.onnx", "-o", "notes", folder=tmp_path)
    assert done.exit_code == 2
    assert done.stderr == "error: notes is a file; give a folder\n"

    done = cli("import", "tiny.onnx", "-o", "back", folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("back written: spec.yaml and model.safetensors\n")
    before, after = gridcnn.load(tmp_path / "tiny"), gridcnn.load(tmp_path / "back")
    assert after.classes == before.classes
    assert after.adapter == before.adapter
    pictures = np.random.default_rng(0).integers(0, 256, (5, 20, 14)).astype(np.uint8)
    np.testing.assert_allclose(after.votes(pictures), before.votes(pictures), atol=1e-5)
    spec = gridcnn.Spec.model_validate(after.spec.model_dump())
    assert load(str(tmp_path / "back" / "spec.yaml")).stages == spec.stages


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": ["all", 2]},
        {"kernel_size": [6, 4], "padding": [0, 1]},
        {"kernel_size": ["all", 3], "stride": 2},
        {"kernel_size": [4, "all"]},
        {"kernel_size": [2, "all"], "dilation": [3, 1]},
        {"kernel_size": ["all", "all"]},
        {"kernel_size": [2, 4]},
    ],
    ids=str,
)
def test_kernels_that_fill_an_axis_come_back(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Though no border is along that axis, and an uneven one along the other."""
    spec = load({"stages": [{"convolution": {"filters": 3, **settings}}], "head": "voting"})
    network = Network(spec, GridShape(1, 6, 8), classes=3)
    path = write(network, network.starting_parameters(), tmp_path / "a.onnx")

    made = check(path)

    assert made.model.network.ops[0].output == network.ops[0].output


# As Keras writes them -----------------------------------------------------------------------------


def node(operator: str, inputs: list[str], output: str, **settings: Any) -> Any:
    return onnx.helper.make_node(operator, inputs, [output], name=output, **settings)


def write_graph(path: Path, nodes: list[Any], constants: dict[str, Any], sizes: Any) -> Path:
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [info("x", onnx.TensorProto.FLOAT, sizes)],
        [info(nodes[-1].output[0], onnx.TensorProto.FLOAT, ["N", "K"])],
        [onnx.numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


def keras_like(folder: Path) -> Path:
    """Return a file with channels last outside, sums after products, and a preprocessing layer."""
    random = np.random.default_rng(0)

    def normal(*sizes: int) -> Array:
        return random.normal(0, 0.5, sizes).astype(np.float32)

    constants: dict[str, Any] = {
        "scale": np.float32(0.5),
        "offset": np.float32(-0.25),
        "w1": normal(4, 3, 3, 3),
        "b1": normal(4).reshape(1, 4, 1, 1),
        "w2": normal(4 * 5 * 6, 7),
        "b2": normal(7),
        "w3": normal(7, 2),
        "b3": normal(2),
        "flat": np.array([-1, 120], np.int64),
    }
    nodes = [
        node("Transpose", ["x"], "nchw", perm=[0, 3, 1, 2]),
        node("Mul", ["nchw", "scale"], "scaled"),
        node("Add", ["scaled", "offset"], "shifted"),
        node("Conv", ["shifted", "w1"], "conv", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Add", ["conv", "b1"], "biased"),
        node("Relu", ["biased"], "relu"),
        node("Transpose", ["relu"], "nhwc", perm=[0, 2, 3, 1]),
        node("Reshape", ["nhwc", "flat"], "flattened"),
        node("MatMul", ["flattened", "w2"], "dense"),
        node("Add", ["dense", "b2"], "dense_bias"),
        node("Relu", ["dense_bias"], "dense_relu"),
        node("MatMul", ["dense_relu", "w3"], "logits"),
        node("Add", ["logits", "b3"], "logits_bias"),
        node("Softmax", ["logits_bias"], "softmax", axis=-1),
    ]
    return write_graph(folder / "keras.onnx", nodes, constants, ["N", 10, 12, 3])


def test_a_file_with_channels_last_is_read(tmp_path: Path) -> None:
    """Weights of the first dense layer are put into our order, and arrays go in as before."""
    path = keras_like(tmp_path)

    made = check(path)

    arrays = np.random.default_rng(1).normal(0, 1, (3, 10, 12, 3)).astype(np.float32)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": arrays})
    np.testing.assert_allclose(made.model.votes_of_many(arrays), expected, atol=1e-5)
    assert made.model.spec.head is not None
    assert made.model.spec.head.model_dump()["hidden"] == (7,)


def assert_same_votes(path: Path, *sizes: int) -> None:
    """Assert that what is imported votes as the file does, for arrays of these sizes."""
    made = check(path)
    arrays = np.random.default_rng(1).normal(0, 1, (3, *sizes)).astype(np.float32)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": arrays})
    given = arrays if arrays.ndim == 4 else arrays[:, None]
    np.testing.assert_allclose(made.model.votes_of_many(given), expected, atol=1e-5)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_single_channel_that_is_last_is_read(tmp_path: Path, scaled: bool) -> None:
    """Keras reshapes it, instead of a transposition, perhaps after a scaling of the input."""
    random = np.random.default_rng(0)
    nodes = [
        node("Reshape", ["y" if scaled else "x", "first"], "nchw"),
        node("Conv", ["nchw", "w1"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalMaxPool", ["conv"], "best"),
        node("Squeeze", ["best", "axes"], "flat"),
        node("MatMul", ["flat", "w2"], "logits"),
        node("Softmax", ["logits"], "votes"),
    ]
    if scaled:
        nodes = [node("Mul", ["x", "half"], "z"), node("Sub", ["z", "half"], "y"), *nodes]
    constants = {
        "half": np.float32(0.5),
        "first": np.array([-1, 1, 7, 6], np.int64),
        "axes": np.array([2, 3], np.int64),
        "w1": random.normal(0, 1, (4, 1, 3, 3)).astype(np.float32),
        "w2": random.normal(0, 1, (4, 3)).astype(np.float32),
    }

    assert_same_votes(write_graph(tmp_path / "a.onnx", nodes, constants, ["N", 7, 6, 1]), 7, 6, 1)


def test_rows_with_channels_last_are_read(tmp_path: Path) -> None:
    """Keras makes a grid of each row for a convolution, and a row of what comes out."""
    random = np.random.default_rng(0)
    nodes = [
        node("Unsqueeze", ["x", "one"], "grid"),
        node("Transpose", ["grid"], "nchw", perm=[0, 3, 1, 2]),
        node("Conv", ["nchw", "w1"], "conv", kernel_shape=[1, 5]),
        node("Squeeze", ["conv", "two"], "row"),
        node("Add", ["row", "b1"], "biased"),
        node("Relu", ["biased"], "relu"),
        node("Unsqueeze", ["relu", "two"], "again"),
        node("MaxPool", ["again"], "pool", kernel_shape=[1, 2], strides=[1, 2]),
        node("Squeeze", ["pool", "two"], "pooled"),
        node("Transpose", ["pooled"], "last", perm=[0, 2, 1]),
        node("ReduceMean", ["last"], "mean", axes=[1], keepdims=0),
        node("MatMul", ["mean", "w2"], "logits"),
        node("Softmax", ["logits"], "votes"),
    ]
    constants = {
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "w1": random.normal(0, 1, (6, 3, 1, 5)).astype(np.float32),
        "b1": random.normal(0, 1, (1, 6, 1)).astype(np.float32),
        "w2": random.normal(0, 1, (6, 3)).astype(np.float32),
    }

    assert_same_votes(write_graph(tmp_path / "a.onnx", nodes, constants, ["N", 20, 3]), 20, 3)


def test_operators_that_onnx_does_not_have_are_named(tmp_path: Path) -> None:
    """Converters leave what they do not know in the file."""
    nodes = [node("Erfc", ["x"], "a"), node("Flatten", ["a"], "b")]
    path = write_graph(tmp_path / "odd.onnx", nodes, {}, ["N", 1, 4, 4])

    with pytest.raises(
        ModelFileError, match=r"operators that ONNX does not have: Erfc \(opset 17\)"
    ):
        import_onnx(path)


def test_nodes_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    """In a sentence of our own, without the codes of ONNX Runtime."""
    nodes = [node("Add", ["x", "five"], "sum"), node("Flatten", ["sum"], "flat")]
    constants = {"five": np.zeros(5, np.float32)}
    path = write_graph(tmp_path / "odd.onnx", nodes, constants, ["N", 1, 4, 4])

    with pytest.raises(ModelFileError) as error:
        import_onnx(path)

    assert str(error.value) == f"{path}: its nodes do not fit together: ONNX Runtime fails at 'sum'"


def test_what_cannot_be_taken_is_listed_by_operator(tmp_path: Path) -> None:
    """One line for each, and no more than once."""
    nodes = [
        node("Selu", ["x"], "selu1"),
        node("Selu", ["selu1"], "selu2"),
        node("Flatten", ["selu2"], "flat"),
        node("Hardmax", ["flat"], "hard"),
    ]
    path = write_graph(tmp_path / "odd.onnx", nodes, {}, ["N", 1, 4, 4])

    with pytest.raises(UserError) as error:
        import_onnx(path)

    assert [str(each) for each in error.value.problems] == [
        "cannot be imported: Hardmax (nodes: hard)",
        "cannot be imported: Selu (nodes: selu1, selu2)",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [1, 1], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [3, 4], "strides": [2, 3], "pads": [1, 1, 1, 2]},
        {"kernel_shape": [4, 3], "strides": [2, 2], "pads": [1, 0, 2, 1]},
    ],
)
def test_pooling_with_a_border_in_front_takes_cells_that_are_not_negative(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """A border of 0 is as good as none, since the largest cell counts."""
    random = np.random.default_rng(0)
    nodes = [
        node("Relu", ["x"], "relu"),
        node("MaxPool", ["relu"], "pool", **settings),
        node("GlobalAveragePool", ["pool"], "mean"),
        node("Flatten", ["mean"], "flat"),
        node("MatMul", ["flat", "w"], "logits"),
        node("Softmax", ["logits"], "votes"),
    ]
    constants = {"w": random.normal(0, 1, (2, 3)).astype(np.float32)}

    assert_same_votes(write_graph(tmp_path / "a.onnx", nodes, constants, ["N", 2, 9, 8]), 2, 9, 8)


def test_pooling_of_any_cells_with_a_border_in_front_is_refused(tmp_path: Path) -> None:
    nodes = [
        node("MaxPool", ["x"], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Flatten", ["pool"], "flat"),
    ]
    path = write_graph(tmp_path / "odd.onnx", nodes, {}, ["N", 1, 8, 8])

    with pytest.raises(UserError, match="MaxPool: with a border before the first row or column"):
        import_onnx(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an ONNX file"),
        (b"nonsense" * 9, "is not an ONNX file"),
        (None, "cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelFileError, match=message):
        import_onnx(path)


def test_a_stage_that_branches_share_is_in_both(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], "a"),
        node("Tanh", ["x"], "b"),
        node("Add", ["a", "b"], "c"),
        node("Sigmoid", ["a"], "d"),
        node("Add", ["c", "d"], "e"),
        node("Flatten", ["e"], "flat"),
    ]
    path = write_graph(tmp_path / "odd.onnx", nodes, {}, ["N", 1, 2, 2])

    made = check(path)

    assert "branches share 1 of the stages" in " ".join(made.notes)


def dense(path: Path, weights: Array, *ends: str) -> Path:
    """Write a fully connected layer over a grid of 1 x 2 x 2, and operators after it."""
    nodes = [node("Flatten", ["x"], "flat"), node("Gemm", ["flat", "w", "b"], "end0")]
    nodes += [node(end, [f"end{at}"], f"end{at + 1}") for at, end in enumerate(ends)]
    constants = {"w": weights.astype(np.float32), "b": np.full(weights.shape[1], 0.5, np.float32)}
    return write_graph(path, nodes, constants, ["N", 1, 2, 2])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, number: float) -> None:
    path = dense(tmp_path / "a.onnx", np.array([[1, 2], [3, number], [5, 6], [7, 8]]))

    done = cli("import", "a.onnx", "-o", "back", folder=tmp_path)

    assert done.exit_code == 2
    assert done.stderr == (
        "error: a.onnx cannot be imported: its parameters must be finite numbers; there are NaN or "
        "infinite ones in 1.voting.votes.weights\n"
    )
    assert path.is_file()
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("ends", [(), ("Sigmoid",)])
def test_one_vote_is_that_of_the_second_of_two_classes(
    tmp_path: Path, ends: tuple[str, ...]
) -> None:
    """Its logit is 1 x 1 + 2 x 0 - 1 x 3 + 0 x 9 + 0.5 = -1.5, whose sigmoid is 0.18242552."""
    dense(tmp_path / "a.onnx", np.array([[1], [2], [-1], [0]]), *ends)

    done = cli("import", "a.onnx", "-o", "back", "--classes", "no,yes", folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert "1 stage, 10 parameters, 2 classes; " in done.stdout
    assert "read as that of the second of two classes" in done.stderr
    model = gridcnn.load(tmp_path / "back")
    votes = model.votes(np.array([[[1, 0], [3, 9]]], np.float32))
    np.testing.assert_allclose(votes, [[0.81757448, 0.18242552]], atol=1e-6)
    assert model.predict(np.array([[[1, 0], [3, 9]]], np.float32)).tolist() == ["no"]


def test_one_label_that_has_a_name_stays_a_label(tmp_path: Path) -> None:
    dense(tmp_path / "a.onnx", np.array([[1], [2], [-1], [0]]), "Sigmoid")

    done = cli("import", "a.onnx", "-o", "back", "--classes", "cat", folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert "1 stage, 5 parameters, 1 class; " in done.stdout
    model = gridcnn.load(tmp_path / "back")
    assert model.classes == ("cat",)
    assert model.several


def test_networks_that_do_not_vote_are_refused(tmp_path: Path) -> None:
    """The input itself, maps of a convolution, and a single class of a softmax."""
    weights = {"w": np.ones((3, 1, 2, 2), np.float32)}
    conv = node("Conv", ["x", "w"], "y", pads=[1, 1, 1, 1])
    files = [
        write_graph(tmp_path / "a.onnx", [node("Identity", ["x"], "y")], {}, ["N", 1, 2, 2]),
        write_graph(tmp_path / "b.onnx", [conv], weights, ["N", 1, 2, 2]),
        dense(tmp_path / "c.onnx", np.ones((4, 1)), "Softmax"),
    ]
    reasons = [
        "it has no operation that could become a stage",
        "its output is maps of 3 x 3 x 3, not votes",
        "it votes for a single class, which always has all votes",
    ]
    for file, reason in zip(files, reasons, strict=True):
        done = cli("import", file.name, "-o", "back", folder=tmp_path)

        assert done.exit_code == 2, reason
        assert done.stderr == (
            f"error: {file.name} cannot be imported: {reason}; a network has to end with one vote "
            "for each of at least two classes\n"
        )


def test_classes_are_named_on_the_way(tmp_path: Path) -> None:
    keras_like(tmp_path)

    done = cli("import", "keras.onnx", "-o", "net", "--classes", "cat,dog", folder=tmp_path)
    wrong = cli("import", "keras.onnx", "-o", "other", "--classes", "cat", folder=tmp_path)
    again = cli("import", "keras.onnx", "-o", "net", folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert gridcnn.load(tmp_path / "net").classes == ("cat", "dog")
    assert wrong.exit_code == again.exit_code == 2
    assert "the network votes for 2 classes; got 1 name of classes" in wrong.stderr
    assert not (tmp_path / "other").exists()
    assert "spec.yaml exists already; give another name, or --force" in again.stderr


# As PyTorch writes them ---------------------------------------------------------------------------


def torch_file(module: Any, sizes: tuple[int, ...], path: Path) -> Path:
    torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
    buffer = io.BytesIO()
    torch.onnx.export(
        module.eval(),
        (torch.zeros(2, *sizes),),
        buffer,
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
    )
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["chain", "residual", "branches", "signal", "gelu"])
def test_networks_of_pytorch_come_in(tmp_path: Path, name: str) -> None:
    torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn
    torch.manual_seed(0)

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.one = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.norm = nn.BatchNorm2d(out)
            self.two = nn.Conv2d(out, out, 3, 1, 1)
            self.short = nn.Identity() if stride == 1 else nn.Conv2d(channels, out, 1, stride)

        def forward(self, x: Any) -> Any:
            made = self.two(torch.relu(self.norm(self.one(x))))
            return torch.relu(self.short(x) + made)

    class Branches(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(2, 3, 1)
            self.two = nn.Conv2d(2, 3, 3, padding=1)

        def forward(self, x: Any) -> Any:
            return torch.cat([self.one(x), self.two(x), x], 1)

    made = {
        "chain": (
            nn.Sequential(
                nn.Conv2d(3, 8, 5, padding=2), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
                nn.Conv2d(8, 8, 3, groups=8), nn.GroupNorm(2, 8), nn.SiLU(), nn.AvgPool2d(2),
                nn.Dropout(0.5), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4),
                nn.Softmax(1),
            ),
            (3, 12, 12),
        ),
        "residual": (
            nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), Residual(4, 4, 1), Residual(4, 6, 2),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
            ),
            (1, 9, 8),
        ),
        "branches": (
            nn.Sequential(
                Branches(), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 30, 5), nn.Sigmoid()
            ),
            (2, 5, 6),
        ),
        "signal": (
            nn.Sequential(
                nn.Conv1d(2, 4, 5, stride=2), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2),
                nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3), nn.LogSoftmax(1),
            ),
            (2, 31),
        ),
        "gelu": (
            nn.Sequential(
                nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(64, 5), nn.Tanh(),
                nn.Linear(5, 2),
            ),
            (1, 6, 6),
        ),
    }  # fmt: skip
    module, sizes = made[name]

    check(torch_file(module, sizes, tmp_path / f"{name}.onnx"))
