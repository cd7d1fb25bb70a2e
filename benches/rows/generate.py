"""Two GeoParquet files shaped as SlideRule's ATL06: rows.parquet as pyarrow writes it, rows_index.parquet with a
page index. Usage: generate.py FOLDER ROWS"""
import json, struct, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq

folder, n = sys.argv[1], int(sys.argv[2])
r, i = np.random.default_rng(5), np.arange(n)
time = np.datetime64("2018-10-16", "ns") + np.sort(r.integers(0, 138_000_000_000_000_000, n))
points = np.zeros(n, dtype=[("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
points["order"], points["kind"] = 1, 1
points["x"], points["y"] = -108.3 + r.random(n) * 0.6, 38.8 + r.random(n) * 0.4
offsets = pa.py_buffer((np.arange(n + 1, dtype="i4") * 21).tobytes())
geometry = pa.Array.from_buffers(pa.binary(), n, [None, offsets, pa.py_buffer(points.tobytes())])
table = pa.table({
    "extent_id": (5206161266950799362 + i).astype("u8"), "distance": 1.5713e7 + np.cumsum(r.random(n)) * 20,
    "segment_id": (784512 + i // 2).astype("u4"), "rgt": r.choice([1156, 714, 272, 1179, 737, 211, 295, 234], n).astype("u2"),
    "rms_misfit": r.gamma(2, 0.15, n).astype("f4"), "gt": r.choice([10, 20, 30, 40, 50, 60], n).astype("u1"),
    "dh_fit_dy": np.zeros(n, "f4"), "n_fit_photons": r.integers(10, 400, n).astype("i4"),
    "h_sigma": r.gamma(2, 0.02, n).astype("f4"), "pflags": np.zeros(n, "u2"), "spot": r.integers(1, 7, n).astype("u1"),
    "h_mean": 1700 + np.cumsum(r.normal(0, 0.3, n)), "cycle": r.integers(1, 19, n).astype("u2"),
    "w_surface_window_final": np.full(n, 3, "f4"), "dh_fit_dx": r.normal(0, 0.02, n).astype("f4"),
    "geometry": geometry, "time": time,
})
geo = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}}}
table = table.replace_schema_metadata({"geo": json.dumps(geo)})
pq.write_table(table, folder + "/rows.parquet")
pq.write_table(table, folder + "/rows_index.parquet", write_page_index=True)
