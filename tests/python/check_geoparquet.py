"""Asserts that geopandas reads a GeoParquet file of points: FILE ROWS GEOMETRIES."""

import json
import sys

import geopandas
import pyarrow.parquet

path, rows, geometries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

metadata = pyarrow.parquet.ParquetFile(path).metadata
assert metadata.num_rows == rows, metadata.num_rows
geo = json.loads(metadata.metadata[b"geo"])
assert geo["version"] == "1.1.0", geo
column = geo["columns"][geo["primary_column"]]
assert column["encoding"] == "WKB" and column["geometry_types"] == ["Point"], column
assert "crs" not in column, column

frame = geopandas.read_parquet(path)
assert len(frame) == rows, len(frame)
assert frame.geometry.name == "geometry", frame.geometry.name
assert frame.geometry.notna().sum() == geometries, frame.geometry.notna().sum()
assert frame.crs is not None and frame.crs.to_authority() == ("OGC", "CRS84"), frame.crs
assert frame.crs.equals("EPSG:4326", ignore_axis_order=True), frame.crs
if geometries:
    bounds = frame.total_bounds
    assert all(abs(a - b) < 1e-12 for a, b in zip(column["bbox"], bounds)), (column["bbox"], bounds)
    # The covering column lets readers leave rows out.
    west, south, east, north = bounds
    middle = (west + east) / 2
    half = geopandas.read_parquet(path, bbox=(west, south, middle, north))
    expected = frame.cx[west:middle, south:north]
    assert len(half) == len(expected), (len(half), len(expected))
print(json.dumps({"rows": rows, "geometries": geometries, "crs": str(frame.crs), "types": {k: str(v) for k, v in frame.dtypes.items()}}))
