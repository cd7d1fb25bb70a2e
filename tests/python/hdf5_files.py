"""Writes tests/fixtures/hdf5: files that name others, and one with groups. Needs h5py.

    python tests/python/hdf5_files.py tests/fixtures/hdf5
"""

import sys
from pathlib import Path

import h5py
import numpy as np

FOLDER = Path(sys.argv[1])
# As the tests see it, which run in the folder of the crate.
OTHER = "tests/fixtures/hdf5/tree.h5"
VERSIONS = ("v110", "v110")


def written(name):
    return h5py.File(FOLDER / name, "w", libver=VERSIONS)


ramp = np.arange(24 * 16, dtype="u2").reshape(16, 24)
with written("tree.h5") as file:
    file["height"] = ramp
    file["grid/depth"] = ramp + 1
    file["grid/fine/depth"] = (ramp[:8, :12] / 2).astype("f4")
    file["grid"].attrs["units"] = "m"
    file["again"] = h5py.SoftLink("/grid/depth")

with written("external_storage.h5") as file:
    file["own"] = ramp
    file.create_dataset("values", (16, 16), "u1", external=[("/etc/passwd", 0, 256)])

# More than is read of a name.
with written("long_name.h5") as file:
    file["own"] = ramp
    file.create_dataset("values" * 200, (16, 16), "u1", external=[("/etc/passwd", 0, 256)])

with written("virtual.h5") as file:
    file["own"] = ramp
    layout = h5py.VirtualLayout((16, 24), "u2")
    layout[:] = h5py.VirtualSource(OTHER, "height", (16, 24))
    file.create_virtual_dataset("values", layout)

with written("virtual_within.h5") as file:
    file["own"] = ramp
    layout = h5py.VirtualLayout((16, 24), "u2")
    layout[:] = h5py.VirtualSource(".", "own", (16, 24))
    file.create_virtual_dataset("values", layout)

with written("link.h5") as file:
    file["own"] = ramp
    file["grid/depth"] = ramp
    file["values"] = h5py.ExternalLink(OTHER, "/height")

with written("links_only.h5") as file:
    file["values"] = h5py.ExternalLink(OTHER, "/height")
