"""Writes an ocean's surface on a curvilinear grid with xarray, as Zarr of both versions, and tells values and places.

    python zarr_grids.py FOLDER

Prints JSON: for each store pixels with `row`, `column`, `time`, `lat`, `lon`, `value`, as xarray reads them back.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import xarray as xr

warnings.simplefilter("ignore")
folder = pathlib.Path(sys.argv[1])
rows, columns, days = 23, 31, 3
row, column = np.mgrid[0:rows, 0:columns]
ocean = xr.Dataset(
    {"sst": (("time", "y", "x"), 5 * np.sin(row / 10) + np.cos(column / 12) + np.arange(days)[:, None, None])},
    coords={
        "time": ("time", np.arange(days), {"units": "days since 2020-01-01"}),
        "lat": (("y", "x"), 55 + 0.08 * row + 0.03 * column, {"units": "degrees_north"}),
        "lon": (("y", "x"), 5 + 0.12 * column - 0.05 * row, {"units": "degrees_east"}),
    },
)
packed = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 3.0, "_FillValue": -32768}
told = {}
for version in (2, 3):
    name = f"v{version}.zarr"
    chunks = {"chunks": (1, 10, 12)}
    ocean.to_zarr(folder / name, zarr_format=version, consolidated=True, encoding={"sst": packed | chunks})
    read = xr.open_zarr(folder / name)
    told[name] = []
    for at in [(0, 0, 0), (1, 22, 30), (2, 9, 12), (0, 10, 11), (2, 22, 0)]:
        one = read.sst[at]
        told[name].append(
            dict(zip(("time", "row", "column"), at))
            | {"lat": float(one.lat), "lon": float(one.lon), "value": float(one)}
        )
json.dump(told, sys.stdout)
