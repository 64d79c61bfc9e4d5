"""The names of augmentations; their settings and arithmetic are in `gridcnn.training`."""

from __future__ import annotations

from gridcnn.registry import Registry

_PLACES = "gridcnn.training.augmentation_places"
_VALUES = "gridcnn.training.augmentation_values"

AUGMENTATIONS = Registry(
    "augmentation",
    {
        "shift": f"{_PLACES}:Shift",
        "flip": f"{_PLACES}:Flip",
        "zoom": f"{_PLACES}:Zoom",
        "rotate": f"{_PLACES}:Rotate",
        "mask": f"{_VALUES}:Mask",
        "drop": f"{_VALUES}:Drop",
        "noise": f"{_VALUES}:Noise",
        "gain": f"{_VALUES}:Gain",
    },
    foreign={
        **dict.fromkeys(("translate", "randomtranslation", "randomcrop", "roll"), "shift"),
        **dict.fromkeys(
            ("fliplr", "hflip", "horizontalflip", "randomhorizontalflip", "mirror"),
            "flip: columns",
        ),
        **dict.fromkeys(("flipud", "vflip", "verticalflip", "randomverticalflip"), "flip: rows"),
        **dict.fromkeys(("scale", "rescale", "randomzoom", "stretch", "timestretch"), "zoom"),
        **dict.fromkeys(("rotation", "randomrotation", "turn"), "rotate"),
        **dict.fromkeys(("specaugment", "timemask", "frequencymask", "timemasking"), "mask"),
        **dict.fromkeys(("cutout", "erase", "erasing", "randomerasing"), "mask: {form: box}"),
        **dict.fromkeys(("gaussiannoise", "jitter"), "noise"),
        **dict.fromkeys(("brightness", "contrast", "volume", "colorjitter"), "gain"),
        **dict.fromkeys(("dropout", "worddropout", "tokendropout"), "drop"),
    },
)
