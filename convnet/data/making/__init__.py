"""Makes data batches of photographs: `open_source` opens what they are made of, `make` makes them."""

from convnet.data.making.ilsvrc import IlsvrcFiles
from convnet.data.making.options import Made, MakeOptions
from convnet.data.making.run import make
from convnet.data.making.sources import FORMS, SourceOptions, open_source

__all__ = ["FORMS", "IlsvrcFiles", "Made", "MakeOptions", "SourceOptions", "make", "open_source"]
