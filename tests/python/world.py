#!/usr/bin/env python3
"""Writes assets/world.bin, the outlines of countries that maps are drawn over.

    world.py [SHAPEFILE] assets/world.bin

Source: Natural Earth, 1:110m cultural vectors, Admin 0 countries (https://www.naturalearthdata.com),
public domain. Without SHAPEFILE the copy is taken that the package pyogrio ships (naturalearth_lowres).

All numbers are unsigned LEB128 varints, differences zigzag-coded, coordinates in 1/100 degree:
    "SWM1", countries; each: length of name, name (UTF-8), rings;
    each ring: positions; each: lon, lat, as differences from the one before (the first from 0, 0)
Rings are those of the source, without their last position, which repeats the first. An edge that occurs
in two rings is a land border, any other coast.
"""
import os
import sys

import pyogrio


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint(n * 2 if n >= 0 else -n * 2 - 1)


def rings(geometry):
    for polygon in getattr(geometry, "geoms", [geometry]):
        for ring in [polygon.exterior, *polygon.interiors]:
            points = [(round(x * 100), round(y * 100)) for x, y in ring.coords]
            kept = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
            yield kept[:-1] if kept[0] == kept[-1] else kept


def main():
    *source, target = sys.argv[1:]
    shipped = os.path.join(os.path.dirname(pyogrio.__file__), "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp")
    frame = pyogrio.read_dataframe(source[0] if source else shipped)
    names = {c.lower(): c for c in frame.columns}
    frame = frame.sort_values(names["name"])
    out = bytearray(b"SWM1") + varint(len(frame))
    for name, geometry in zip(frame[names["name"]], frame.geometry):
        text = name.encode()
        found = [r for r in rings(geometry) if len(r) > 2]
        out += varint(len(text)) + text + varint(len(found))
        for ring in found:
            out += varint(len(ring))
            x, y = 0, 0
            for lon, lat in ring:
                out += zigzag(lon - x) + zigzag(lat - y)
                x, y = lon, lat
    with open(target, "wb") as file:
        file.write(out)
    print(target, len(frame), "countries", len(out), "bytes")


if __name__ == "__main__":
    main()
