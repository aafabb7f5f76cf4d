"""The data sets that are read from their published files, by name."""

from dvae_core.data.cars3d import Cars3D
from dvae_core.data.dsprites import ColorDsprites, Dsprites
from dvae_core.data.mpi3d import Mpi3DReal, Mpi3DRealistic, Mpi3DToy
from dvae_core.data.shapes3d import Shapes3D
from dvae_core.data.smallnorb import SmallNorb

Original = Dsprites | SmallNorb | Cars3D | Shapes3D | Mpi3DToy | Mpi3DRealistic | Mpi3DReal

ORIGINALS: dict[str, type[Original]] = {
    original.name: original
    for original in (
        Dsprites,
        ColorDsprites,
        SmallNorb,
        Cars3D,
        Shapes3D,
        Mpi3DToy,
        Mpi3DRealistic,
        Mpi3DReal,
    )
}
