"""Published data sets: where their files are, and how to tell that they are right.

Sizes and SHA-256 are facts that several sources agree on:

- CIFAR: keras.datasets.cifar10 and cifar100 (SHA-256), as torchvision's prototype datasets; the sizes are those that
  the server tells. The authors' page, cs.toronto.edu/~kriz/cifar.html, gives MD5: CIFAR-10
  c58f30108f718f92721af3b95e74349a, CIFAR-100 eb9058c3a382ffc7106e4002c42a8d85; so does torchvision.
- MNIST: tensorflow_datasets/url_checksums/mnist.txt (sizes, SHA-256), as torchvision's prototype datasets. Its author's
  site, yann.lecun.com/exdb/mnist, no longer gives the files out; CVDF's mirror was made with him.
- Fashion-MNIST: tensorflow_datasets/url_checksums/fashion_mnist.txt (sizes, SHA-256), as torchvision's prototype
  datasets; the files are also in the authors' repository, whose README gives their MD5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from convnet.data.download import RemoteFile, Watcher, download
from convnet.errors import ConvnetError


@dataclass(frozen=True)
class PublishedSet:
    """A data set that others publish.

    doc: one line for users. page: where its authors tell of it. files: all that is needed of it. data: the file that a
    provider opens; empty for the folder with all of them. options: of `convnet train`, for a net that fits.
    """

    doc: str
    page: str
    files: tuple[RemoteFile, ...]
    data: str
    options: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def data_path(self, folder: Path) -> Path:
        """What the data provider is to open once the files are in `folder`."""
        return folder / self.data


def get_published(published: PublishedSet, folder: Path, watcher: Watcher, *, base: str = "") -> list[RemoteFile]:
    """Fetch the files of a set that are not yet in `folder`; returns those that were fetched.

    `base`: an http or https address below which all files are, instead of the publishers' addresses.

    Raises ConvnetError as `download` does, and for a `base` that is no such address.
    """
    files = published.files
    if base:
        files = tuple(replace(file, addresses=(_below(base, file.name),)) for file in files)
    return [file for file in files if download(file, folder, watcher)]


def _below(base: str, name: str) -> str:
    """The address of a file below another address."""
    try:
        parts = urlsplit(base)
    except ValueError as error:
        raise ConvnetError(f"expected an http or https address, found '{base}': {error}") from error
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConvnetError(f"expected an http or https address, such as https://example.org/mnist, found '{base}'")
    return f"{base.rstrip('/')}/{name}"


def _files(bases: tuple[str, ...], files: dict[str, tuple[int, str]]) -> tuple[RemoteFile, ...]:
    """Files, by name their size and SHA-256, each of which is below every one of `bases`."""
    return tuple(
        RemoteFile(name, size, sha256, tuple(base + name for base in bases)) for name, (size, sha256) in files.items()
    )


_TORONTO = ("https://www.cs.toronto.edu/~kriz/",)
_CIFAR10 = {
    "cifar-10-python.tar.gz": (170_498_071, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
}
_CIFAR100 = {
    "cifar-100-python.tar.gz": (169_001_437, "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),
}
_MNIST_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
_MNIST = {
    "train-images-idx3-ubyte.gz": (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    "train-labels-idx1-ubyte.gz": (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    "t10k-images-idx3-ubyte.gz": (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    "t10k-labels-idx1-ubyte.gz": (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
}
_ZALANDO = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_FASHION_MNIST = {
    "train-images-idx3-ubyte.gz": (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    "train-labels-idx1-ubyte.gz": (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    "t10k-images-idx3-ubyte.gz": (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    "t10k-labels-idx1-ubyte.gz": (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
}
PUBLISHED = {
    "cifar10": PublishedSet(
        doc="CIFAR-10: 60,000 colour images of 32x32 pixels, 10 classes",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=_files(_TORONTO, _CIFAR10),
        data=next(iter(_CIFAR10)),
        options=("--layers", "cifar-quick"),
    ),
    "cifar100": PublishedSet(
        doc="CIFAR-100: 60,000 colour images of 32x32 pixels, 100 classes",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=_files(_TORONTO, _CIFAR100),
        data=next(iter(_CIFAR100)),
        options=("--layers", "cifar-quick", "--classes", "100"),
    ),
    "mnist": PublishedSet(
        doc="MNIST: 70,000 handwritten digits, grey, 28x28 pixels, 10 classes",
        page="http://yann.lecun.com/exdb/mnist/",
        files=_files(_MNIST_MIRRORS, _MNIST),
        data="",
        options=("--layers", "lenet5"),
    ),
    "fashion-mnist": PublishedSet(
        doc="Fashion-MNIST: 70,000 pieces of clothing, grey, 28x28 pixels, 10 classes",
        page="https://github.com/zalandoresearch/fashion-mnist",
        files=_files(_ZALANDO, _FASHION_MNIST),
        data="",
        options=("--layers", "lenet5"),
    ),
}
