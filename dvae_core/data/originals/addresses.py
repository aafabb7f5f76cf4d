"""The published files of each data set: their addresses, in the order to try, and their hashes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: its name in the data folder.
        urls: its addresses, in the order in which they are tried.
        md5: its MD5 in hexadecimal, or None where no published hash is known.
    """

    name: str
    urls: tuple[str, ...]
    md5: str | None


def _files(folders: tuple[str, ...], hashes: dict[str, str]) -> tuple[RemoteFile, ...]:
    """Files that lie under the same names in each of several folders."""
    return tuple(
        RemoteFile(name, tuple(f"{folder}/{name}" for folder in folders), md5)
        for name, md5 in hashes.items()
    )


def _on_drive(name: str, drive_id: str) -> RemoteFile:
    """A file on Google Drive, of no known hash."""
    address = "https://drive.usercontent.google.com/download"
    return RemoteFile(name, (f"{address}?id={drive_id}&export=download&confirm=t",), md5=None)


# The authors of MPI3D name the first; the second was theirs until 2024.
_MPI3D = (
    "https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main",
    "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset",
)

# The hashes are those of the public library disent.
REMOTE_FILES: dict[str, tuple[RemoteFile, ...]] = {
    "dsprites": _files(
        (
            "https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master",
            "https://github.com/google-deepmind/dsprites-dataset/raw/master",
        ),
        {"dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5": "b331c4447a651c44bf5e8ae09022e230"},
    ),
    "smallnorb": _files(
        ("https://cs.nyu.edu/~ylclab/data/norb-v1.0-small",),
        {
            f"smallnorb-5x{part}.mat.gz": md5
            for part, md5 in {
                "46789x9x18x6x2x96x96-training-dat": "66054832f9accfe74a0f4c36a75bc0a2",
                "46789x9x18x6x2x96x96-training-cat": "23c8b86101fbf0904a000b43d3ed2fd9",
                "46789x9x18x6x2x96x96-training-info": "51dee1210a742582ff607dfd94e332e3",
                "01235x9x18x6x2x96x96-testing-dat": "e4ad715691ed5a3a5f138751a4ceb071",
                "01235x9x18x6x2x96x96-testing-cat": "5aa791cd7e6016cf957ce9bdb93b8603",
                "01235x9x18x6x2x96x96-testing-info": "a9454f3864d7fd4bb3ea7fc3eb84924e",
            }.items()
        },
    ),
    "cars3d": _files(
        (
            "http://www.scottreed.info/files",
            "http://www-personal.umich.edu/~reedscot/files",
        ),
        {"nips2015-analogy-data.tar.gz": "4e866a7919c1beedf53964e6f7a23686"},
    ),
    "shapes3d": _files(
        ("https://storage.googleapis.com/3d-shapes",),
        {"3dshapes.h5": "099a2078d58cec4daad0702c55d06868"},
    ),
    "mpi3d_toy": _files(_MPI3D, {"mpi3d_toy.npz": "55889cb7c7dfc655d6e0277beee88868"}),
    "mpi3d_realistic": _files(_MPI3D, {"mpi3d_realistic.npz": "59a6225b88b635365f70c91b3e52f70f"}),
    # The authors replaced the file in April 2025; this is the hash of the earlier one.
    "mpi3d_real": _files(_MPI3D, {"mpi3d_real.npz": "0f33f609918fb5c97996692f91129802"}),
    # Addresses as in latent_quantization.
    "isaac3d": (_on_drive("Isaac3D_down128.zip", "1OmQ1G2wnm6eTsSFGTKFZZAh5D3nQTW1B"),),
    "falcor3d": (_on_drive("Falcor3D_down128.zip", "1XAQfFK1x6cpN1eiovbP0hVfLTm5SsSoJ"),),
    "mpi3d_real_complex": (
        _on_drive("real3d_complicated_shapes_ordered.npz", "1Tp8eTdHxgUMtsZv5uAoYAbJR1BOa_OQm"),
    ),
}
