"""What other systems call things: our names for them, or what gridcnn has instead.

Names are in lower case and without `_`, `-` and spaces. A sentence in `ABSENT` and its relatives
follows "'x' is not a stage; ", and ends without a stop: it says what to write, or to leave it out.
Each is tested by following it, in `tests/test_hints.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridcnn.registry import plain

_HEAD_DROPOUT = "dropout is a setting of the voting head; write head: {voting: {dropout: 0.1}}"
_NORMALIZATION = "normalization is by batch, group or layer here; write 'normalization' instead"
_HEAD_NORMALIZATION = (
    "normalization is a stage; write 'normalization' after a convolution, and 'voting' instead"
)
_ACTIVATION = (
    "there are rectification (ReLU) and activation: gelu, silu, tanh or sigmoid; write "
    "rectification instead"
)
_SEVERAL = (
    "several labels of an item are a setting of the voting head; write head: {voting: {labels: "
    "several}}"
)
_SOFTMAX = "the voting head ends in a softmax already; leave it out"
_FLATTEN = "the voting head takes all cells of the last grid as they are; leave it out"
_DENSE = "fully connected layers belong in the head; write head: {voting: {hidden: [32]}}"
_LIST = "'stages' is a list whose stages run in order; write its entries there, without this"
_INPUT = "the shape of grids is known from the adapter; leave it out"
_DROP_PATH = (
    "branches are not left out as a whole, but cells and maps are; write dropout: {rate: 0.1, of: "
    "maps} instead"
)
_SEQUENCE = (
    "there are no recurrent layers and no attention; write convolution: {filters: 8} instead"
)
_CONVOLUTION = "convolutions go over rows and columns; write convolution: {filters: 8} instead"
_SEPARABLE = (
    "a separable convolution is two stages; write convolution: {filters: 8, groups: channels}, for "
    "each channel, and after it convolution: {filters: 16, kernel_size: 1}"
)
_INSTANCES = (
    "instance normalization is group normalization with a group for each map; write "
    "normalization: {kind: group, groups: 4} after a convolution of 4 filters"
)
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
    *("prelu", "elu", "selu", "celu", "mish", "relu6", "hardsigmoid", "logsigmoid", "hardtanh"),
    *("softplus", "softsign", "hardswish", "threshold", "nonlinearity"),
)
_BATCH_NORMALIZATIONS = (
    *("batchnorm", "batchnorm1d", "batchnorm2d", "batchnormalization", "bn", "norm", "normalize"),
)
_INSTANCE_NORMALIZATIONS = (
    *("instancenorm", "instancenorm1d", "instancenorm2d", "instancenormalization"),
)
_OTHER_NORMALIZATIONS = ("localresponsenorm", "lrn", "weightnorm", "spectralnorm")
_NORMALIZATIONS = (
    *_BATCH_NORMALIZATIONS,
    *_OTHER_NORMALIZATIONS,
    *("layernorm", "layernormalization", "groupnorm", "groupnormalization", "rmsnorm"),
    *_INSTANCE_NORMALIZATIONS,
    "normalization",
)

FOREIGN_STAGES: dict[str, str] = {
    **dict.fromkeys(
        (
            *("conv", "conv1d", "conv2d", "convolution1d", "convolution2d", "convlayer"),
            *("lazyconv1d", "lazyconv2d"),
        ),
        "convolution",
    ),
    **dict.fromkeys(
        ("depthwiseconv2d", "depthwiseconv1d", "depthwise", "depthwiseconvolution"),
        "convolution: {filters: 8, groups: channels}",
    ),
    **dict.fromkeys(
        ("groupconv2d", "groupedconv2d", "groupedconvolution"),
        "convolution: {filters: 8, groups: 2}",
    ),
    **dict.fromkeys(("relu", "rectifier", "rectify", "rectifiedlinear"), "rectification"),
    **dict.fromkeys(("leakyrelu", "leaky", "lrelu"), "rectification: {leak: 0.1}"),
    "gelu": "activation: gelu",
    **dict.fromkeys(("silu", "swish"), "activation: silu"),
    "tanh": "activation: tanh",
    **dict.fromkeys(("sigmoid", "logistic"), "activation: sigmoid"),
    **dict.fromkeys(
        (
            *("pool", "pool1d", "pool2d", "maxpool", "maxpool1d", "maxpool2d"),
            *("maxpooling", "maxpooling1d", "maxpooling2d", "subsampling"),
        ),
        "pooling",
    ),
    **dict.fromkeys(
        (
            *("avgpool", "avgpool1d", "avgpool2d", "averagepool", "averagepooling"),
            *("averagepooling1d", "averagepooling2d", "meanpool", "meanpooling"),
        ),
        "pooling: {mode: mean}",
    ),
    **dict.fromkeys(
        (
            *("gap", "globalpooling", "globalavgpool", "globalavgpool1d", "globalavgpool2d"),
            *("globalaveragepool", "globalaveragepooling", "globalaveragepooling1d"),
            *("globalaveragepooling2d", "globalmeanpool", "globalmeanpooling"),
            *("adaptiveavgpool", "adaptiveavgpool1d", "adaptiveavgpool2d"),
        ),
        "pooling: {window: all, mode: mean}",
    ),
    **dict.fromkeys(
        (
            *("gmp", "globalmaxpool", "globalmaxpool1d", "globalmaxpool2d"),
            *("globalmaxpooling", "globalmaxpooling1d", "globalmaxpooling2d"),
            *("adaptivemaxpool", "adaptivemaxpool1d", "adaptivemaxpool2d"),
        ),
        "pooling: {window: all}",
    ),
    **dict.fromkeys(_BATCH_NORMALIZATIONS, "normalization"),
    **dict.fromkeys(("layernorm", "layernormalization", "rmsnorm"), "normalization: layer"),
    **dict.fromkeys(("groupnorm", "groupnormalization"), "normalization: group"),
    **dict.fromkeys(("dropout1d", "dropout3d", "alphadropout"), "dropout: 0.1"),
    **dict.fromkeys(
        ("dropout2d", "spatialdropout", "spatialdropout1d", "spatialdropout2d"),
        "dropout: {rate: 0.1, of: maps}",
    ),
    **dict.fromkeys(
        (
            *("residual", "residualblock", "resblock", "resnetblock", "basicblock", "bottleneck"),
            *("shortcut", "identity", "skipconnection", "add"),
        ),
        "skip: [convolution: {filters: 8}]",
    ),
    **dict.fromkeys(
        ("inception", "branch", "branches", "concatenate", "concat", "merge"),
        "parallel: [[convolution: {filters: 8}], [convolution: {filters: 8, kernel_size: 5}]]",
    ),
    **dict.fromkeys(
        ("squeezeandexcitation", "squeezeexcitation", "se", "seblock", "selayer", "squeezeexcite"),
        "gate",
    ),
    "voting": "head: voting",
}
"""Stages of other systems, and what they are here."""

_DENSES = ("dense", "linear", "fullyconnected", "fc", "mlp", "perceptron", "denselayer")
_SOFTMAXES = ("softmax", "softmax2d", "logsoftmax", "logits", "output", "outputlayer")
_LISTS = ("sequential", "model", "module", "modulelist", "block", "brick", "layer", "layers")

ABSENT_STAGES: dict[str, str] = {
    **dict.fromkeys(("droppath", "dropblock", "stochasticdepth"), _DROP_PATH),
    **dict.fromkeys(_OTHER_NORMALIZATIONS, _NORMALIZATION),
    **dict.fromkeys(_INSTANCE_NORMALIZATIONS, _INSTANCES),
    **dict.fromkeys(_ACTIVATIONS, _ACTIVATION),
    **dict.fromkeys(_SOFTMAXES, _SOFTMAX),
    **dict.fromkeys(("flatten", "reshape", "permute", "unflatten", "view", "squeeze"), _FLATTEN),
    **dict.fromkeys(_DENSES, _DENSE),
    **dict.fromkeys(_LISTS, _LIST),
    **dict.fromkeys(("input", "inputlayer", "inputshape", "placeholder"), _INPUT),
    **dict.fromkeys(
        (
            *("lstm", "gru", "rnn", "simplernn", "bidirectional", "attention"),
            *("multiheadattention", "transformer", "transformerencoder"),
        ),
        _SEQUENCE,
    ),
    **dict.fromkeys(
        (
            *("separable", "separableconv", "separableconv1d", "separableconv2d"),
            *("separableconvolution", "depthwiseseparable", "depthwiseseparableconv"),
            *("depthwiseseparableconv2d", "depthwiseseparableconvolution"),
        ),
        _SEPARABLE,
    ),
    "conv3d": _CONVOLUTION,
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
        (*_SOFTMAXES, "logistic", "classifier", "classification"),
        "the voting head ends in a softmax already; write 'voting' instead",
    ),
    **dict.fromkeys(
        (
            *("sigmoid", "multilabel", "multilabelclassification", "multitask", "multioutput"),
            *("bce", "bcewithlogits", "binarycrossentropy"),
        ),
        _SEVERAL,
    ),
    "dropout": _HEAD_DROPOUT,
    **dict.fromkeys(
        ("globalaveragepooling", "globalaveragepooling2d", "globalavgpool", "gap", "avgpool"),
        "pooling is a stage; write pooling: {window: all, mode: mean} as the last of 'stages', and "
        "'voting' instead",
    ),
    **dict.fromkeys(_NORMALIZATIONS, _HEAD_NORMALIZATION),
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
        *("linear", "linearlr", "polynomial", "polynomialdecay"),
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
    "type": ("kind", "mode", "function"),
    **dict.fromkeys(("activation", "name"), ("function",)),
    **dict.fromkeys(("negativeslope", "alpha", "slope"), ("leak",)),
    **dict.fromkeys(("p", "prob", "probability", "dropprob", "droprate"), ("rate",)),
    **dict.fromkeys(("ratio", "reductionratio"), ("reduction",)),
    **dict.fromkeys(("merge", "mode", "combine"), ("join",)),
    **dict.fromkeys(("downsample", "projection"), ("shortcut",)),
    **dict.fromkeys(("n", "repeats", "repetitions", "numblocks", "numlayers"), ("times",)),
    **dict.fromkeys(("ceilmode",), ("edges",)),
    **dict.fromkeys(("usebias",), ("bias",)),
    **dict.fromkeys(
        ("units", "numunits", "neurons", "hiddenunits", "hiddensize", "hiddenlayersizes"),
        ("hidden",),
    ),
    **dict.fromkeys(("rate",), ("dropout", "learning_rate")),
    **dict.fromkeys(("dropoutrate",), ("dropout", "rate")),
    **dict.fromkeys(("multilabel", "multilabels", "labelmode"), ("labels",)),
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
    **dict.fromkeys(("classweight", "weights", "posweight", "balanced"), ("class_weights",)),
    **dict.fromkeys(("sampler", "oversample", "oversampling", "balance"), ("sampling",)),
    **dict.fromkeys(("smoothing",), ("label_smoothing",)),
    **dict.fromkeys(("mixupalpha",), ("mixup",)),
    **dict.fromkeys(("ema", "useema", "emamomentum", "emadecay", "swa"), ("averaging",)),
    **dict.fromkeys(("tta", "testtimeaugmentation"), ("views",)),
    **dict.fromkeys(("monitor", "checkpointmetric", "refit"), ("select_by",)),
    **dict.fromkeys(("maxminutes", "timelimit", "budget", "maxtime"), ("minutes",)),
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

_AVERAGES = ("avg", "average", "avgpool", "averagepool", "averagepooling", "meanpool")
_ADDITIONS = ("add", "plus", "addition", "elementwise")

VALUES: dict[str, dict[str, str]] = {
    "function": {
        "swish": "silu",
        **dict.fromkeys(("logistic", "expit"), "sigmoid"),
    },
    "mode": {
        **dict.fromkeys(_AVERAGES, "mean"),
        **dict.fromkeys(("maximum", "maxpool", "maxpooling"), "max"),
    },
    "kind": {
        **dict.fromkeys(_BATCH_NORMALIZATIONS, "batch"),
        **dict.fromkeys(("layernorm", "layernormalization", "ln"), "layer"),
        **dict.fromkeys(("groupnorm", "groupnormalization", "gn"), "group"),
    },
    "join": {
        **dict.fromkeys(("concat", "concatenate", "cat", "channels", "stack"), "maps"),
        **dict.fromkeys(_ADDITIONS, "sum"),
    },
    "shortcut": {
        **dict.fromkeys(("conv", "conv1x1", "1x1", "convolution", "downsample"), "projection"),
        "identity": "none",
    },
    "of": {
        **dict.fromkeys(("channels", "channel", "filters", "spatial"), "maps"),
        **dict.fromkeys(("elements", "values", "units"), "cells"),
    },
    "start": {
        **dict.fromkeys(("kaiming", "kaimingnormal", "kaiminguniform", "henormal"), "he"),
        **dict.fromkeys(("xavier", "xaviernormal", "xavieruniform", "glorotnormal"), "glorot"),
    },
}
"""What other systems call the words that a setting takes, by the name of the setting."""

ABSENT_VALUES: dict[str, dict[str, str]] = {
    "function": {
        **dict.fromkeys(
            ("relu", "rectifier", "rectifiedlinear"),
            "the stage 'rectification' does this; write that instead",
        ),
        **dict.fromkeys(
            ("leakyrelu", "lrelu"),
            "the stage 'rectification: {leak: 0.1}' does this; write that instead",
        ),
        **dict.fromkeys(_ACTIVATIONS, _ACTIVATION),
        "softmax": _SOFTMAX,
        **dict.fromkeys(("linear", "identity", "none"), "it changes nothing; leave it out"),
    },
    "kind": dict.fromkeys(
        ("instance", *_INSTANCE_NORMALIZATIONS),
        _INSTANCES,
    ),
}
"""Words of other systems that a setting here does not take."""

PLACES: dict[str, str] = {
    **{
        name: f"training.{name}"
        for name in (
            *("method", "epochs", "batch_size", "optimizer", "learning_rate", "schedule"),
            *("warm_up", "weight_decay", "gradient_clip", "patience", "augmentation", "seed"),
            *("minutes", "select_by", "class_weights", "sampling", "label_smoothing", "mixup"),
            *("averaging", "restarts", "stop_after", "views"),
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
    "labels": "head.voting.labels",
}
"""The right place in a spec for a setting that was given somewhere else."""

TABLE_PLACES: dict[str, str] = {
    **{name: f"adapter.table.{name}" for name in ("missing", "scaling", "size", "channels")},
    **{name: f"data.source.table.{name}" for name in ("input", "split", "quoting")},
}
"""The same, of a setting that was given to a table."""

ABSENT_SETTINGS: dict[str, str] = {
    **dict.fromkeys(
        _NORMALIZATIONS,
        "the stage 'normalization' does this; write that after a convolution, without this",
    ),
    **dict.fromkeys(
        ("activation", "activationfunction", "relu", "nonlinearity"),
        "the stage 'rectification' (ReLU) or 'activation' does this, and hidden layers of the head "
        "have it already; write that after a convolution, without this",
    ),
    **dict.fromkeys(("softmax", "fromlogits"), _SOFTMAX),
    **dict.fromkeys(
        (
            *("inchannels", "infeatures", "inputdim", "inputshape", "inputchannels"),
            *("numfeatures", "numchannels", "normalizedshape"),
            *("numclasses", "nclasses", "classes", "outputdim", "outfeatures", "numlabels"),
        ),
        "it is known from the data; leave it out",
    ),
    **dict.fromkeys(
        ("loss", "lossfunction", "lossfn", "criterion", "objective"),
        "the loss is the cross-entropy of the votes, or with labels: several the binary one; leave "
        "it out",
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
        ("sampleweight", "sampleweights"),
        "weights of single items are given in Python, as GridClassifier.fit(X, y, sample_weight=); "
        "leave it out, or set training.class_weights",
    ),
    **dict.fromkeys(
        ("cutmix", "l1", "kernelregularizer", "regularizer"),
        "it does not exist; leave it out, or set training.weight_decay or training.mixup",
    ),
    "depthwise": "depthwise convolutions have groups: channels; set that, and leave it out",
    **dict.fromkeys(
        ("paddingmode", "dataformat"),
        "it does not exist; leave it out",
    ),
}
"""Settings of other systems that gridcnn does not have."""


def sentence(table: Mapping[str, str], name: str) -> str:
    """Return `; SENTENCE.` for a name that is in a table, or an empty string."""
    advice = table.get(plain(name))
    return f"; {advice}." if advice else ""


def value_hint(setting: str, value: str, allowed: Sequence[str]) -> str:
    """Return `; here it is written ...` or `; SENTENCE` for a word of another system, or ''."""
    ours = VALUES.get(setting, {}).get(plain(value))
    if ours in allowed:
        return f"; here it is written '{ours}'"
    advice = ABSENT_VALUES.get(setting, {}).get(plain(value))
    return f"; {advice}" if advice else ""


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
