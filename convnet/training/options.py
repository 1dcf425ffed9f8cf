"""The options of training and testing, declared once for the command line and for the [train] section."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from convnet import shape
from convnet.config.keys import Key, read_values
from convnet.config.kinds import Bool, Float, Int, IntRange, Maps, Text
from convnet.config.reader import CfgFile
from convnet.config.report import Report
from convnet.config.writer import given_lines, section_text
from convnet.graph.build import TRAIN_SECTION

DATA = (
    Key("data", Text(), "folder or file with the data; without it, a built-in sample that fits the net", default=None,
        aliases=("data-path",)),
    Key("data-provider", Text(), "how to read the data, if its form does not tell", default=None),
    Key("input", Maps(), "the images the net takes, channels x rows x columns: the built-in sample is made so, images "
        "of a folder are brought to it, describe assumes it", default=None),
    Key("crop", Int(minimum=0), "side of the square cut from each image: at random in training, the centre in testing; "
        "0: no cropping", default=0, aliases=("inner-size",)),
    Key("crop-border", Int(minimum=0), "instead of crop: pixels cut off at each side of the image", default=0),
    Key("flip", Bool(), "mirror half of the training images; default: if they are cropped", default=None),
    Key("noise", Float(minimum=0), "standard deviation of the colour noise along the principal axes of RGB (the paper: "
        "0.1)", default=0.0, aliases=("color-noise",)),
    Key("scalar-mean", Float(), "subtract this from all pixels instead of the mean image", default=None),
    Key("batch-size", Int(minimum=1), "cases in a data batch, where the data does not tell", default=None),
    Key("test-share", Float(above=0, maximum=1), "share of the cases to test on, where the data does not tell",
        default=None),
    Key("image-size", Int(minimum=1), "side that the images of a folder are brought to", default=None),
    Key("workers", Int(minimum=1, maximum=1024), "processes that decode photographs; default: as many as there are "
        "cores", default=None),
)  # fmt: skip
NET = (
    Key("mini", Int(minimum=1), "cases in a minibatch", default=128),
    Key("classes", Int(minimum=1), "outputs of the layer below the softmax, instead of the layer file's", default=None),
    Key("seed", Int(minimum=0), "decides initial weights, dropout, augmentation and order; a run repeats bit for bit",
        default=0),
)  # fmt: skip
RUN = (
    Key("epochs", Int(minimum=1), "how often to go through the training batches", default=50),
    Key("train-range", IntRange(), "data batches to train on, like 1-5; default: all training batches", default=None),
    Key("late-range", IntRange(), "data batches to train on from epoch late-epoch on, such as those held back before",
        default=None),
    Key("late-epoch", Int(minimum=1), "the first epoch that trains on late-range", default=None),
    Key("test-freq", Int(minimum=1), "training batches from one test and checkpoint to the next; default: an epoch's",
        default=None, aliases=("testing-freq",)),
    Key("shuffle", Bool(), "order the cases anew in every epoch (the originals keep the order)", default=False),
    Key("test-one", Bool(), "test on one batch of the test range at a time, in turn, instead of all", default=False),
    Key("keep", Int(minimum=1), "how many of the newest checkpoints to keep, besides the best", default=3),
)  # fmt: skip
TEST_RANGE = Key("test-range", IntRange(), "data batches to test on, like 6; default: all test batches", default=None)
ALL = (*DATA, *NET, *RUN, TEST_RANGE)

_CROPS = ("crop", "crop-border")

# Options that say where to run and where to write, not what is computed.
_ON_THE_COMMAND_LINE = {
    name: f"belongs on the command line (--{name})"
    for name in ("device", "gpu", "threads", "workers", "precision", "tune", "save-path", "checkpoint", "layers",
                 "params")
}  # fmt: skip
_IN_FILES = tuple(key for key in ALL if key.name not in _ON_THE_COMMAND_LINE)

Options = dict[str, Any]  # by name; what nobody set is absent


def read_train_section(params: CfgFile | None, layers: CfgFile, report: Report) -> Options:
    """The options that the [train] section of a parameter file sets, unless [train] is a layer of the net."""
    section = params.sections.get(TRAIN_SECTION) if params else None
    if section is None or TRAIN_SECTION in layers.sections:
        return {}
    values = read_values(section, _IN_FILES, report=report, misplaced=_ON_THE_COMMAND_LINE)
    given = {key.name for key in _IN_FILES for name in (key.name, *key.aliases) if name.lower() in section.entries}
    return {name: value for name, value in values.items() if name in given}


def train_section(params: CfgFile, layers: CfgFile) -> str:
    """The [train] section of a parameter file in the one way in which it is printed; nothing if it sets no options."""
    section = params.sections.get(TRAIN_SECTION)
    if section is None or TRAIN_SECTION in layers.sections:
        return ""
    lines = given_lines(_IN_FILES, section)
    return section_text(TRAIN_SECTION, lines) if lines else ""


def merged(*sources: Mapping[str, Any]) -> Options:
    """All options: the defaults, then each source over those before it."""
    defaults: Options = {key.name: key.default for key in ALL}
    options = defaults
    for source in sources:
        options = {**defaults, **laid_over(options, source)}
    return options


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Options:
    """Both sources, of which `above` wins: of the two ways to crop, the one that it gives."""
    void = [other for one, other in (_CROPS, _CROPS[::-1]) if one in above and other not in above]
    return {**{name: value for name, value in below.items() if name not in void}, **above}


def to_plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as values that JSON holds; the path of the data no longer depends on the present folder.

    Those that say where to run and not what is computed are left out: they are not kept.
    """
    kept = {name: value for name, value in options.items() if name not in _ON_THE_COMMAND_LINE}
    plain = {name: str(value) if isinstance(value, shape.Maps) else value for name, value in kept.items()}
    return {**plain, "data": os.path.abspath(plain["data"])} if plain.get("data") else plain


def from_plain(values: Mapping[str, Any]) -> Options:
    """What `to_plain` was given; names that no longer exist are left out."""
    names = {key.name for key in ALL}
    options = {name: value for name, value in values.items() if name in names}
    if options.get("input") is not None:
        options["input"] = Maps().parse(options["input"])
    return options
