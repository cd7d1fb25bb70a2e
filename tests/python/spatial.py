#!/usr/bin/env python3
"""Writes what shapely gives for spatial functions: tests/fixtures/spatial.json, which tests/table_values.rs compares
with what we give. Run once, by hand:

    python3 tests/python/spatial.py > tests/fixtures/spatial.json

`shapes` are Well-Known Text, the last is null. `unary` holds for each function a value for each shape, `binary` for
each function a row for each first and in it a value for each second argument: `t`, `f` or `-` for truth values, else
numbers. What is null in SQL (a null argument, a distance to nothing, x of what is no point) is null here too.
Where shapely and the functions that SQL knows (PostGIS, DuckDB) differ, it is as in SQL: the length of areas is 0,
distances on a sphere are for points (by the haversine formula, with a radius of 6,371,008.8 m)."""
import json
import math

import shapely

SHAPES = [
    'POINT (1 1)', 'POINT (0 5)', 'POINT (5 5)', 'POINT (-3.25 4.5)', 'POINT Z (1 1 9)', 'POINT EMPTY',
    'LINESTRING (0 0, 10 0)', 'LINESTRING (-5 5, 15 5)', 'LINESTRING (1 1, 9 1, 9 3)', 'LINESTRING EMPTY',
    'LINESTRING (0 0, 4 4, 4 0, 0 4)',
    'POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))',
    'POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))',
    'POLYGON ((4 4, 6 4, 6 6, 4 6, 4 4))', 'POLYGON ((10 0, 20 0, 20 10, 10 10, 10 0))',
    'POLYGON ((4.5 4.5, 5.5 4.5, 5.5 5.5, 4.5 5.5, 4.5 4.5))', 'POLYGON EMPTY',
    'MULTIPOINT ((1 1), (5 5))', 'MULTIPOINT ((0 0), (20 20))', 'MULTIPOINT EMPTY',
    'MULTILINESTRING ((0 0, 1 1), (3 3, 3 9))', 'MULTILINESTRING ((10 0, 10 10), (20 0, 20 10))',
    'MULTILINESTRING EMPTY',
    'MULTIPOLYGON (((0 0, 2 0, 2 2, 0 2, 0 0)), ((10 10, 14 10, 14 13, 10 13, 10 10)))',
    'MULTIPOLYGON (((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 8 1, 8 8, 1 8, 1 1)), ((3 3, 5 3, 5 5, 3 5, 3 3)))',
    'MULTIPOLYGON EMPTY',
    'GEOMETRYCOLLECTION (POINT (1 1), LINESTRING (2 2, 5 6))',
    'GEOMETRYCOLLECTION (POINT (30 1), POLYGON ((0 0, 3 0, 3 3, 0 3, 0 0)))', 'GEOMETRYCOLLECTION EMPTY',
    None,
]
RADIUS = 6_371_008.8
DISTANCE = 4.25


def number(value):
    return None if value is None or math.isnan(value) else float(value)


def length(shape):
    if shape.geom_type in ('LineString', 'MultiLineString'):
        return shape.length
    return sum(map(length, shape.geoms)) if shape.geom_type == 'GeometryCollection' else 0.0


def axis(shape, name):
    is_there = shape.geom_type == 'Point' and not shape.is_empty
    return number(getattr(shape, name)) if is_there else None


def haversine(a, b):
    if not (a.geom_type == b.geom_type == 'Point') or a.is_empty or b.is_empty:
        return None
    lon, lat, lon2, lat2 = map(math.radians, (a.x, a.y, b.x, b.y))
    h = math.sin((lat2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(h))


def bounds(at):
    return lambda shape: number(shape.bounds[at])


def truth(value):
    return '-' if value is None else 'ft'[bool(value)]


UNARY = {
    'st_x': lambda s: axis(s, 'x'), 'st_y': lambda s: axis(s, 'y'),
    'st_xmin': bounds(0), 'st_ymin': bounds(1), 'st_xmax': bounds(2), 'st_ymax': bounds(3),
    'st_area': lambda s: s.area, 'st_length': length,
    'st_geometrytype': lambda s: s.geom_type.upper(),
    'st_centroid': lambda s: None if s.centroid.is_empty else [s.centroid.x, s.centroid.y],
}
PREDICATES = {
    'st_intersects': shapely.intersects, 'st_contains': shapely.contains, 'st_within': shapely.within,
    'st_dwithin': lambda a, b: shapely.dwithin(a, b, DISTANCE),
    'st_intersects_bbox': lambda a, b: None if b.is_empty else shapely.intersects(shapely.envelope(a), shapely.box(*b.bounds)),
}
MEASURES = {'st_distance': lambda a, b: number(shapely.distance(a, b)), 'st_distance_sphere': haversine}


def main():
    shapes = [None if text is None else shapely.from_wkt(text) for text in SHAPES]

    def of(f, *shapes):
        return None if any(shape is None for shape in shapes) else f(*shapes)

    print('{"distance": ' + json.dumps(DISTANCE) + ', "shapes": ' + json.dumps(SHAPES) + ',\n"unary": {')
    rows = [f'{json.dumps(name)}: {json.dumps([of(f, s) for s in shapes])}' for name, f in UNARY.items()]
    print(',\n'.join(rows) + '},\n"binary": {')
    rows = []
    for name, f in PREDICATES.items():
        table = [''.join(truth(of(f, a, b)) for b in shapes) for a in shapes]
        rows.append(f'{json.dumps(name)}: {json.dumps(table)}')
    for name, f in MEASURES.items():
        table = [[of(f, a, b) for b in shapes] for a in shapes]
        rows.append(f'{json.dumps(name)}: {json.dumps(table)}')
    print(',\n'.join(rows) + '}}')


main()
