#!/usr/bin/env python3
"""Writes what pyarrow reads of Parquet files: tests/fixtures/expected.json, which tests/table_formats.rs compares
with what we read. Run once, by hand, where the files are:

    python3 tests/python/expected.py FOLDER > tests/fixtures/expected.json

FOLDER holds parquet/, geoparquet/ and sliderule/. Of each file: rows, columns, the first rows. Values: whole
numbers and truth values as they are, floats as the text of their shortest repr (parsers of JSON round), times and
dates in ISO 8601, decimals as text, binary as hex, lists as lists, structs and maps as objects;
`?` where pyarrow itself cannot tell."""
import json
import math
import pathlib
import sys

import numpy
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 6
UNITS = {'s': 0, 'ms': 3, 'us': 6, 'ns': 9}


def number(value):
    if math.isnan(value):
        return 'NaN'
    if math.isinf(value):
        return 'Infinity' if value > 0 else '-Infinity'
    return repr(value)


def shortest(value):
    """The shortest text that reads back as the same 32-bit float."""
    return str(numpy.float32(value)) if math.isfinite(value) else number(value)


def moment(count, unit, zone):
    digits = UNITS[unit]
    seconds, rest = divmod(count, 10 ** digits)
    if abs(seconds) > 4e12:
        return '?'  # beyond the microseconds of pyarrow: it wrapped around
    text = str(numpy.datetime64(seconds, 's'))
    fraction = f'{rest:0{digits}d}' if digits else ''
    while fraction.endswith('000'):
        fraction = fraction[:-3]
    return text + ('.' + fraction if fraction else '') + ('Z' if zone else '')


def value(cell, kind):
    if not cell.is_valid:
        return None
    if pa.types.is_dictionary(kind):
        return value(cell.value, kind.value_type)
    if pa.types.is_float32(kind):
        return shortest(cell.as_py())
    if pa.types.is_float16(kind) or pa.types.is_float64(kind):
        return number(float(cell.as_py()))
    if pa.types.is_timestamp(kind):
        return moment(cell.value, kind.unit, kind.tz)
    if pa.types.is_date(kind):
        return cell.as_py().isoformat()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return cell.as_py().hex()
    if pa.types.is_decimal(kind):
        return str(cell.as_py())
    if pa.types.is_map(kind):
        entries = zip(cell.values.field(0), cell.values.field(1))
        return {str(value(k, kind.key_type)): value(v, kind.item_type) for k, v in entries}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [value(item, kind.value_type) for item in cell.values]
    if pa.types.is_struct(kind):
        return {kind.field(i).name: value(cell[i], kind.field(i).type) for i in range(kind.num_fields)}
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return cell.as_py()
    return str(cell.as_py())


def wider(nanos, micros):
    """Of a column of times that one in which nothing wrapped around."""
    if nanos.type == micros.type:
        return nanos
    pairs = [(a.value, b.value) for a, b in zip(nanos, micros) if a.is_valid]
    return nanos if all(a // 1000 == b for a, b in pairs) else micros


def main(root):
    out = {}
    for folder in ['parquet', 'geoparquet', 'geoparquet/native', 'sliderule']:
        for path in sorted((root / folder).iterdir()):
            if path.suffix not in ('.parquet', '.geoparquet'):
                continue
            table = pq.read_table(path, partitioning=None)
            # INT96 counts days: in nanoseconds, pyarrow's default, the year 9999 would be 1816.
            other = pq.read_table(path, partitioning=None, coerce_int96_timestamp_unit='us')
            storage = lambda c: c.cast(c.type.storage_type) if isinstance(c.type, pa.ExtensionType) else c
            whole = lambda t, i: storage(t.column(i).combine_chunks())
            columns = [wider(whole(table, i), whole(other, i)) for i in range(table.num_columns)]
            rows = [[value(column[row], column.type) for column in columns] for row in range(min(ROWS, table.num_rows))]
            last = table.num_rows - 1
            out[f'{folder}/{path.name}'] = {
                'rows': table.num_rows,
                'columns': table.column_names,
                'first': rows,
                'last': [value(column[last], column.type) for column in columns],
            }
    print('{')
    print(',\n'.join(f'{json.dumps(name)}: {json.dumps(file, separators=(",", ":"))}' for name, file in out.items()))
    print('}')


main(pathlib.Path(sys.argv[1]))
