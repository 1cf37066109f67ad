"""The data sets that are known by name: where they are, and the hashes of their files.

The hashes of the archives, and of the files of CIFAR-100, KMNIST and SVHN, are those that other libraries publish.
"""

from .formats import CifarRecords, Idx, StreetView
from .source import DataFile, Source


def _mnist_files(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> tuple[DataFile, ...]:
    """Files with the names and sizes of MNIST, which Fashion-MNIST shares, and these hashes."""
    return (
        DataFile("train-images-idx3-ubyte", 47_040_016, train_images),
        DataFile("train-labels-idx1-ubyte", 60_008, train_labels),
        DataFile("t10k-images-idx3-ubyte", 7_840_016, test_images),
        DataFile("t10k-labels-idx1-ubyte", 10_008, test_labels),
    )


MNIST = Source(
    name="mnist",
    description="60,000 + 10,000 handwritten digits, 28x28 (LeCun, Cortes, Burges)",
    files=_mnist_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    flat=True,
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    description="60,000 + 10,000 pictures of clothes, 28x28 (Xiao, Rasul, Vollgraf)",
    files=_mnist_files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
)

KMNIST = Source(
    name="kmnist",
    description="60,000 + 10,000 cursive Japanese characters, 28x28 (Clanuwat et al.)",
    # The published hashes are of the gzipped files, of which there is one version.
    files=(
        DataFile(
            "train-images-idx3-ubyte.gz",
            18_165_135,
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz",
            29_497,
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
        DataFile(
            "t10k-images-idx3-ubyte.gz",
            3_041_136,
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte.gz",
            5_120,
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    format=Idx(),
)

_CIFAR_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)

CIFAR10 = Source(
    name="cifar10",
    description="50,000 + 10,000 colour photographs of ten kinds of things, 32x32 (Krizhevsky)",
    files=tuple(
        DataFile(name, 30_730_000, sha256)
        for name, sha256 in {
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        }.items()
    ),
    archive=DataFile(  # MD5 c32a1d4ab5d03f1284b67883e8d87530
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    mirrors=_CIFAR_MIRRORS,
    format=CifarRecords(),
)

CIFAR100 = Source(
    name="cifar100",
    description="50,000 + 10,000 colour photographs of a hundred kinds of things, 32x32 (Krizhevsky)",
    files=(
        DataFile(
            "train.bin", 153_700_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"
        ),
        DataFile("test.bin", 30_740_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    ),
    archive=DataFile(  # MD5 03b5dce01913d631647c71ecec9e9cb8
        "cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
    mirrors=_CIFAR_MIRRORS,
    classes=100,
    format=CifarRecords(label_bytes=2),
)

SVHN = Source(
    name="svhn",
    description="73,257 + 26,032 colour photographs of digits of house numbers, 32x32 (Netzer et al.)",
    files=(
        DataFile(
            "train_32x32.mat", 182_040_794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"
        ),
        DataFile(
            "test_32x32.mat", 64_275_384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"
        ),
    ),
    mirrors=("https://ufldl.stanford.edu/housenumbers/",),
    format=StreetView(),
    suffix="",
)
