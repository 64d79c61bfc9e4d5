"""The names of augmentations; their settings and arithmetic are in `gridcnn.training`."""

from __future__ import annotations

from gridcnn.registry import Registry

_PLACES = "gridcnn.training.augmentation_places"
_VALUES = "gridcnn.training.augmentation_values"
_SOUNDS = "gridcnn.training.augmentation_sounds"
_TEXTS = "gridcnn.training.augmentation_texts"

AUGMENTATIONS = Registry(
    "augmentation",
    {
        "shift": f"{_PLACES}:Shift",
        "flip": f"{_PLACES}:Flip",
        "zoom": f"{_PLACES}:Zoom",
        "rotate": f"{_PLACES}:Rotate",
        "shear": f"{_PLACES}:Shear",
        "elastic": f"{_PLACES}:Elastic",
        "mask": f"{_VALUES}:Mask",
        "erase": f"{_VALUES}:Erase",
        "drop": f"{_VALUES}:Drop",
        "noise": f"{_VALUES}:Noise",
        "gain": f"{_VALUES}:Gain",
        "brightness": f"{_VALUES}:Brightness",
        "contrast": f"{_VALUES}:Contrast",
        "pitch": f"{_SOUNDS}:Pitch",
        "stretch": f"{_SOUNDS}:Stretch",
        "background": f"{_SOUNDS}:Background",
        "loudness": f"{_SOUNDS}:Loudness",
        "typos": f"{_TEXTS}:Typos",
        "case": f"{_TEXTS}:Case",
    },
    foreign={
        **dict.fromkeys(("translate", "randomtranslation", "randomcrop", "roll"), "shift"),
        **dict.fromkeys(
            ("fliplr", "hflip", "horizontalflip", "randomhorizontalflip", "mirror"),
            "flip: columns",
        ),
        **dict.fromkeys(("flipud", "vflip", "verticalflip", "randomverticalflip"), "flip: rows"),
        **dict.fromkeys(("scale", "rescale", "randomzoom"), "zoom"),
        **dict.fromkeys(("rotation", "randomrotation", "turn"), "rotate"),
        **dict.fromkeys(("specaugment", "timemask", "frequencymask", "timemasking"), "mask"),
        "cutout": "mask: {form: box}",
        **dict.fromkeys(("erasing", "randomerasing", "coarsedropout"), "erase"),
        **dict.fromkeys(("elastictransform", "elasticdeformation", "griddistortion"), "elastic"),
        **dict.fromkeys(("slant", "skew", "randomshear"), "shear"),
        **dict.fromkeys(("gaussiannoise", "jitter"), "noise"),
        **dict.fromkeys(("colorjitter", "randombrightness", "lightness"), "brightness"),
        **dict.fromkeys(("randomcontrast", "autocontrast"), "contrast"),
        **dict.fromkeys(("volume", "volumeperturbation"), "loudness"),
        **dict.fromkeys(("pitchshift", "pitchshifting"), "pitch"),
        **dict.fromkeys(("timestretch", "speed", "speedperturbation", "tempo"), "stretch"),
        **dict.fromkeys(("backgroundnoise", "addbackgroundnoise"), "background: {folder: noises}"),
        **dict.fromkeys(("typo", "keyboard", "randomswap", "characterswap"), "typos"),
        **dict.fromkeys(("lowercase", "uppercase", "randomcase"), "case"),
        **dict.fromkeys(("dropout", "worddropout", "tokendropout"), "drop"),
    },
)
