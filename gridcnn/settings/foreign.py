"""What other systems call things: our names for them, or what gridcnn has instead.

Names are in lower case and without `_`, `-` and spaces. A sentence in `ABSENT` and its relatives
follows "'x' is not a stage; ", and ends without a stop: it says what to write, or to leave it out.
Each is tested by following it, in `tests/test_hints.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gridcnn.registry import plain

DROPOUT = "dropout is a setting of the head; write head: {voting: {dropout: 0.1}}"
NORMALIZATION = (
    "there is no normalization between stages; leave it out (adapters scale the grids), and if "
    "training is not stable, set training.gradient_clip: 1 or a lower training.learning_rate"
)
_ACTIVATION = "the one activation is the stage 'rectification' (ReLU); write rectification instead"
_SOFTMAX = "the voting head ends in a softmax already; leave it out"
_FLATTEN = "the voting head takes all cells of the last grid as they are; leave it out"
_DENSE = "fully connected layers belong in the head; write head: {voting: {hidden: [32]}}"
_LIST = "'stages' is a list whose stages run in order; write its entries there, without this"
_INPUT = "the shape of grids is known from the adapter; leave it out"
_BRANCH = "stages follow one after the other, without branches; leave it out"
_SEQUENCE = (
    "there are no recurrent layers and no attention; write convolution: {filters: 8} instead"
)
_CONVOLUTION = "the one convolution goes over all channels; write convolution: {filters: 8} instead"
_UPSAMPLING = "grids never grow from stage to stage; leave it out"
_EMBEDDING = (
    "an embedding is what a convolution over all rows does; write "
    "convolution: {filters: 32, kernel_size: [all, 1]}"
)
_PADDING = "padding is a setting of convolution; write convolution: {filters: 8, padding: 1}"
_AUGMENTATION = (
    "small changes of training grids are set in training.augmentation; write, for example, "
    "training: {augmentation: [noise: 0.1]}"
)
_OPTIMIZER = "the optimizers are sgd, adam and adamw; write 'adam' instead"
_SCHEDULE = "it does not exist; write 'cosine' instead"

_ACTIVATIONS = (
    *("leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "relu6"),
    *("sigmoid", "hardsigmoid", "logsigmoid", "tanh", "hardtanh", "softplus", "softsign"),
    *("hardswish", "threshold", "nonlinearity"),
)
_NORMALIZATIONS = (
    *("batchnorm", "batchnorm1d", "batchnorm2d", "batchnormalization", "bn", "norm"),
    *("layernorm", "layernormalization", "groupnorm", "groupnormalization", "rmsnorm"),
    *("instancenorm", "instancenorm2d", "localresponsenorm", "lrn", "weightnorm", "spectralnorm"),
    *("normalization", "normalize"),
)
_DENSES = ("dense", "linear", "fullyconnected", "fc", "mlp", "perceptron", "denselayer")
_SOFTMAXES = ("softmax", "softmax2d", "logsoftmax", "logits", "output", "outputlayer")
_LISTS = ("sequential", "model", "module", "modulelist", "block", "brick", "layer", "layers")

ABSENT_STAGES: dict[str, str] = {
    **dict.fromkeys(
        (
            *("dropout", "dropout1d", "dropout2d", "dropout3d", "spatialdropout"),
            *("spatialdropout1d", "spatialdropout2d", "alphadropout", "droppath", "dropblock"),
        ),
        DROPOUT,
    ),
    **dict.fromkeys(_NORMALIZATIONS, NORMALIZATION),
    **dict.fromkeys(_ACTIVATIONS, _ACTIVATION),
    **dict.fromkeys(_SOFTMAXES, _SOFTMAX),
    **dict.fromkeys(("flatten", "reshape", "permute", "unflatten", "view", "squeeze"), _FLATTEN),
    **dict.fromkeys(_DENSES, _DENSE),
    **dict.fromkeys(_LISTS, _LIST),
    **dict.fromkeys(("input", "inputlayer", "inputshape", "placeholder"), _INPUT),
    **dict.fromkeys(
        ("add", "concatenate", "concat", "merge", "skip", "residual", "shortcut", "identity"),
        _BRANCH,
    ),
    **dict.fromkeys(
        (
            *("lstm", "gru", "rnn", "simplernn", "bidirectional", "attention"),
            *("multiheadattention", "transformer", "transformerencoder"),
        ),
        _SEQUENCE,
    ),
    **dict.fromkeys(
        (
            *("depthwiseconv2d", "depthwiseconv1d", "separableconv2d", "separableconv1d"),
            *("conv3d", "groupconv2d", "lazyconv2d"),
        ),
        _CONVOLUTION,
    ),
    **dict.fromkeys(
        (
            *("conv2dtranspose", "convtranspose2d", "convtranspose1d", "upsample", "upsampling2d"),
            *("upsampling", "deconvolution", "unpooling", "maxunpool2d", "pixelshuffle"),
        ),
        _UPSAMPLING,
    ),
    "embedding": _EMBEDDING,
    **dict.fromkeys(("zeropadding2d", "zeropadding1d", "zeropad2d", "padding", "pad"), _PADDING),
    **dict.fromkeys(
        (
            *("randomflip", "randomrotation", "randomzoom", "randomcrop", "randomtranslation"),
            *("gaussiannoise", "augmentation", "augment", "noise", "mask", "shift", "flip"),
        ),
        _AUGMENTATION,
    ),
}
"""Stages of other systems that are not stages here."""

ABSENT_HEADS: dict[str, str] = {
    **dict.fromkeys(
        (*_SOFTMAXES, "sigmoid", "logistic", "classifier", "classification"),
        "the voting head ends in a softmax already; write 'voting' instead",
    ),
    "dropout": DROPOUT,
    **dict.fromkeys(
        ("globalaveragepooling", "globalaveragepooling2d", "globalavgpool", "gap", "avgpool"),
        "pooling is a stage; write pooling: {window: all, mode: mean} as the last of 'stages', and "
        "'voting' instead",
    ),
    **dict.fromkeys(_NORMALIZATIONS, NORMALIZATION),
    **dict.fromkeys(
        ("regression", "regressor", "mse", "linearregression"),
        "gridcnn predicts classes, not amounts; write 'voting' instead",
    ),
}
"""Heads of other systems."""

ABSENT_OPTIMIZERS = dict.fromkeys(
    (
        *("rmsprop", "adagrad", "adadelta", "adamax", "nadam", "radam", "lamb", "lars", "lion"),
        *("lbfgs", "rprop", "ftrl", "adafactor", "asgd"),
    ),
    _OPTIMIZER,
)
"""Optimizers of other systems."""

ABSENT_SCHEDULES = dict.fromkeys(
    (
        *("exponential", "exponentiallr", "exponentialdecay", "reducelronplateau", "plateau"),
        *("onecycle", "onecyclelr", "linear", "linearlr", "polynomial", "polynomialdecay"),
        *("cosineannealingwarmrestarts", "cyclic", "cycliclr", "multistep", "multisteplr"),
    ),
    _SCHEDULE,
)
"""Schedules of other systems."""

SPELLINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("numfilters", "nfilters", "nbfilter", "outchannels", "numoutput", "numkernels"),
        ("filters",),
    ),
    **dict.fromkeys(
        ("kernel", "kernelshape", "kernelsize", "filtersize", "ksize", "size"),
        ("kernel_size", "window"),
    ),
    **dict.fromkeys(("poolsize", "poolingsize", "windowsize"), ("window",)),
    **dict.fromkeys(("strides", "subsample"), ("stride",)),
    **dict.fromkeys(("dilationrate", "dilations"), ("dilation",)),
    **dict.fromkeys(("pads", "pad"), ("padding",)),
    **dict.fromkeys(("poolmode", "pooltype"), ("mode",)),
    **dict.fromkeys(("ceilmode",), ("edges",)),
    **dict.fromkeys(("usebias",), ("bias",)),
    **dict.fromkeys(
        ("units", "numunits", "neurons", "hiddenunits", "hiddensize", "hiddenlayersizes"),
        ("hidden",),
    ),
    **dict.fromkeys(("rate",), ("dropout", "learning_rate")),
    **dict.fromkeys(("dropoutrate",), ("dropout",)),
    **dict.fromkeys(("lr", "eta", "learningrateinit"), ("learning_rate",)),
    **dict.fromkeys(("l2", "weightdecayrate"), ("weight_decay",)),
    **dict.fromkeys(("numepochs", "nepochs", "nbepoch", "maxepochs", "maxiter"), ("epochs",)),
    **dict.fromkeys(("batch", "bs", "minibatchsize"), ("batch_size",)),
    **dict.fromkeys(("randomstate", "randomseed", "rngseed"), ("seed",)),
    **dict.fromkeys(
        ("clipnorm", "globalclipnorm", "gradclip", "gradientclipping", "maxgradnorm"),
        ("gradient_clip",),
    ),
    **dict.fromkeys(("earlystopping", "earlystop", "niternochange"), ("patience",)),
    **dict.fromkeys(("scheduler", "lrscheduler", "learningratescheduler"), ("schedule",)),
    **dict.fromkeys(("warmup", "warmupepochs"), ("warm_up",)),
    **dict.fromkeys(("init", "initializer", "initialization", "kernelinitializer"), ("start",)),
    **dict.fromkeys(("solver",), ("optimizer",)),
    **dict.fromkeys(("eps",), ("epsilon",)),
    **dict.fromkeys(("gamma",), ("factor",)),
    **dict.fromkeys(("stepsize",), ("every",)),
    **dict.fromkeys(("testsize", "testsplit", "testfraction"), ("test",)),
    **dict.fromkeys(
        ("val", "valsize", "valsplit", "validationsplit", "validationfraction"), ("validation",)
    ),
    **dict.fromkeys(("path", "dataset"), ("source", "data")),
    **dict.fromkeys(("inputsize", "imagesize", "targetsize", "resize"), ("size",)),
    **dict.fromkeys(("floatrange", "pixelrange", "valuerange"), ("range",)),
    **dict.fromkeys(("nsamples", "numsamples"), ("count",)),
    **dict.fromkeys(("layers", "network", "model", "architecture"), ("stages",)),
    **dict.fromkeys(("trainer", "train"), ("training",)),
    **dict.fromkeys(("classifier",), ("head",)),
    **dict.fromkeys(("augment", "augmentations", "transforms", "transform"), ("augmentation",)),
    **dict.fromkeys(("sep", "separator"), ("delimiter",)),
}
"""How other systems spell our settings. A spelling is only answered with a name that its owner
takes: `size` is `window` to pooling, and is right for an image."""

PLACES: dict[str, str] = {
    **{
        name: f"training.{name}"
        for name in (
            *("method", "epochs", "batch_size", "optimizer", "learning_rate", "schedule"),
            *("warm_up", "weight_decay", "gradient_clip", "patience", "augmentation", "seed"),
        )
    },
    **{
        name: f"data.{name}"
        for name in ("source", "test", "validation", "bad_items", "duplicates", "group")
    },
    **{
        name: f"data.source.table.{name}"
        for name in ("label", "delimiter", "decimal", "thousands", "encoding", "header", "sheet")
    },
    **{name: f"training.optimizer.sgd.{name}" for name in ("momentum", "nesterov")},
    **{name: f"training.optimizer.adam.{name}" for name in ("beta1", "beta2")},
    **{name: name for name in ("adapter", "stages", "head", "check", "training", "data")},
    "dropout": "head.voting.dropout",
    "hidden": "head.voting.hidden",
}
"""The right place in a spec for a setting that was given somewhere else."""

TABLE_PLACES: dict[str, str] = {
    **{name: f"adapter.table.{name}" for name in ("missing", "scaling", "size", "channels")},
    **{name: f"data.source.table.{name}" for name in ("input", "split", "quoting")},
}
"""The same, of a setting that was given to a table."""

ABSENT_SETTINGS: dict[str, str] = {
    **dict.fromkeys(_NORMALIZATIONS, NORMALIZATION),
    **dict.fromkeys(
        ("activation", "activationfunction", "relu", "nonlinearity"),
        "the stage 'rectification' (ReLU) is the one activation, and hidden layers of the head "
        "have it already; write that after a convolution, without this",
    ),
    **dict.fromkeys(("softmax", "fromlogits"), _SOFTMAX),
    **dict.fromkeys(
        (
            *("inchannels", "infeatures", "inputdim", "inputshape", "inputchannels"),
            *("numclasses", "nclasses", "classes", "outputdim", "outfeatures", "numlabels"),
        ),
        "it is known from the data; leave it out",
    ),
    **dict.fromkeys(
        ("loss", "lossfunction", "lossfn", "criterion", "objective"),
        "the loss is the cross-entropy of the votes; leave it out",
    ),
    **dict.fromkeys(
        ("metrics", "metric", "scoring", "evalmetric"),
        "every run measures accuracy, balanced accuracy, loss and the scores of each class; leave "
        "it out",
    ),
    **dict.fromkeys(
        ("device", "gpu", "gpus", "cuda", "usegpu", "accelerator", "precision"),
        "networks run on the processor; leave it out",
    ),
    **dict.fromkeys(
        ("workers", "numworkers", "njobs", "nthreads", "numthreads", "threads"),
        "the number of threads is not part of a spec; give --threads N, or threads=N in Python",
    ),
    **dict.fromkeys(
        ("out", "output", "outputdir", "outdir", "savedir", "logdir", "savepath"),
        "the folder of the results is not part of a spec; give --out FOLDER, or out=FOLDER in "
        "Python",
    ),
    **dict.fromkeys(
        ("verbose", "callbacks", "checkpoint", "checkpoints", "savebestonly", "restorebest"),
        "every run shows its epochs, and keeps the best one; leave it out",
    ),
    "shuffle": "items are drawn in a new order in every epoch; leave it out",
    **dict.fromkeys(
        ("classweight", "classweights", "sampleweight", "weights", "balanced"),
        "all items have the same weight; leave it out, and give more items of a rare class, or "
        "read the balanced accuracy",
    ),
    **dict.fromkeys(
        ("labelsmoothing", "mixup", "cutmix", "l1", "kernelregularizer", "regularizer"),
        "it does not exist; leave it out, or set training.weight_decay or training.augmentation",
    ),
    **dict.fromkeys(
        ("groups", "paddingmode", "dataformat"),
        "it does not exist; leave it out",
    ),
}
"""Settings of other systems that gridcnn does not have."""


def sentence(table: Mapping[str, str], name: str) -> str:
    """Return `; SENTENCE.` for a name that is in a table, or an empty string."""
    advice = table.get(plain(name))
    return f"; {advice}." if advice else ""


def place_of_setting(name: str, owner: str) -> str:
    """Return `; it is set as ...` if the setting belongs to another owner, else an empty string."""
    for ours in (name, *SPELLINGS.get(plain(name), ())):
        place = _TABLE_PLACES.get(plain(ours)) if owner == "table" else None
        place = place or _PLACES.get(plain(ours))
        if place is not None:
            top = "" if "." in place else ", at the top of the spec"
            return f"; it is set as '{place}'{top}."
    return ""


_PLACES = {plain(name): place for name, place in PLACES.items()}
_TABLE_PLACES = {plain(name): place for name, place in TABLE_PLACES.items()}
