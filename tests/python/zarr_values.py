"""Writes tests/fixtures/zarr_values.json: what zarr-python reads from the arrays of $SECCHI_DATA/zarr.

Numbers as they are, with "nan" for none; of long arrays every 997th value, of constant ones the first alone.
Arrays that zarr-python cannot read are left out.
    python tests/python/zarr_values.py $SECCHI_DATA/zarr tests/fixtures/zarr_values.json
"""

import json
import math
import sys
from pathlib import Path

import zarr


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def arrays(root):
    for path in sorted(root.rglob("*")):
        names = {child.name for child in path.iterdir()} if path.is_dir() else set()
        if "zarr.json" in names and json.loads((path / "zarr.json").read_text())["node_type"] == "array":
            yield path, 3
        elif ".zarray" in names:
            yield path, 2


def main(root, out):
    root, found = Path(root), {}
    for path, version in arrays(root):
        name = str(path.relative_to(root))
        try:
            values = zarr.open_array(str(path), mode="r", zarr_format=version)[...]
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        flat = [plain(v) for v in values.reshape(-1).tolist()]
        step = len(flat) if len(set(flat)) == 1 else 1 if len(flat) <= 1000 else 997
        found[name] = {"shape": list(values.shape), "dtype": str(values.dtype), "step": step, "values": flat[::step]}
    Path(out).write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n")


main(*sys.argv[1:])
