//! What is damaged, absurd or hostile: a sentence or a sensible preview, never a panic, never a control
//! character on the terminal.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/cli.rs"]
mod cli;
mod support;

use bucket::Bucket;
use cli::{Program, Run, assert_harmless};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::Ceph;

/// Runs a command that must end in order: a few lines on stderr at most, and no harm.
#[track_caller]
fn try_it(program: &Program, args: &[&str]) -> Run {
    let run = program.run(args);
    assert!((0..=6).contains(&run.code), "{args:?} ended with {}: {}", run.code, run.stderr);
    assert!(run.took < Duration::from_secs(30), "{args:?} took {:?}", run.took);
    let out = std::str::from_utf8(&run.stdout).unwrap_or_else(|err| panic!("{args:?}: {err}"));
    assert_harmless(out);
    let lines: Vec<&str> = run.stderr.lines().collect();
    if run.code == 0 {
        // What it cost.
        assert!(lines.len() <= 1, "{args:?}: {}", run.stderr);
    } else {
        assert!(out.is_empty(), "{args:?} failed, but printed {out}");
        if args.contains(&"--json") {
            assert_eq!(lines.len(), 1, "{args:?}: {}", run.stderr);
            return run;
        }
        assert!((1..=3).contains(&lines.len()) && lines[0].starts_with("secchi: "), "{args:?}: {}", run.stderr);
        assert!(lines[1..].iter().all(|hint| hint.starts_with("        ")), "{args:?}: {}", run.stderr);
        assert!(lines[0].chars().count() < 600, "{args:?}: {}", run.stderr);
    }
    run
}

/// The preview of a file, with and without `--json`, which must agree.
#[track_caller]
fn preview(program: &Program, path: &str) -> Run {
    let run = try_it(program, &["preview", path]);
    let json = program.run(&["preview", path, "--json"]);
    assert_eq!(json.code, run.code, "{path}: {}", json.stderr);
    assert_harmless(json.text());
    if run.code == 0 {
        assert!(json.object()["kind"].is_string(), "{path}");
    } else {
        let error: serde_json::Value = serde_json::from_str(json.stderr.trim()).expect("one object");
        assert!(error["error"].as_str().is_some_and(|words| !words.is_empty()), "{error}");
    }
    run
}

#[track_caller]
fn refused(program: &Program, path: &str, words: &str) {
    let run = preview(program, path);
    assert_ne!(run.code, 0, "{path} was shown: {}", run.text());
    assert!(run.stderr.contains(words), "`{words}` in {}", run.stderr);
    let name = Path::new(path).file_name().expect("a name").to_string_lossy();
    assert_eq!(run.stderr.lines().next().expect("a line").matches(&*name).count(), 1, "named once: {}", run.stderr);
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut summed = crc32(&[&kind[..], data].concat()).to_be_bytes().to_vec();
        let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(data);
        bytes.append(&mut summed);
        bytes
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    // An empty zlib stream.
    let data = [0x78, 0x9c, 0x03, 0, 0, 0, 0, 1];
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &data), &chunk(b"IEND", &[])].concat()
}

/// As PNG sums its chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn data() -> Option<PathBuf> {
    let here = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if !here.is_dir() {
        eprintln!("skipped: no files of others (SECCHI_DATA)");
        return None;
    }
    Some(here)
}

fn files(folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

/// The library is loaded when it is called, and only rasters miss it where it is not to be found.
#[test]
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn without_gdal_all_but_rasters_works() {
    let program = Program::new().with("SECCHI_GDAL", "/nowhere/libgdal.so");
    let table = program.write("t.csv", "a,b\n1,2\n");
    assert!(program.run(&["preview", &table]).ok().text().contains('2'));
    let raster = program.write("r.tif", b"II*\0\x08\0\0\0\0\0\0\0\0\0");
    refused(&program, &raster, "this needs GDAL, and /nowhere/libgdal.so cannot be loaded");
    // What the loader would load with the program.
    let program = program.with("LD_TRACE_LOADED_OBJECTS", "1");
    let loaded = program.run(&["--version"]);
    assert!(loaded.text().contains("libc.so"), "{}", loaded.text());
    assert!(!loaded.text().contains("libgdal"), "it waits for GDAL: {}", loaded.text());
}

#[test]
fn files_that_are_not_what_their_names_say() {
    let program = Program::new();
    for suffix in ["tif", "jp2", "nc", "png", "jpg", "parquet", "json", "geojson", "csv", "txt", "gz", "zarr", "bin"] {
        let empty = preview(&program, &program.write(&format!("empty.{suffix}"), ""));
        if ["tif", "jp2", "nc", "png", "jpg", "parquet"].contains(&suffix) {
            assert_ne!(empty.code, 0, "an empty {suffix} was shown: {}", empty.text());
        }
        preview(
            &program,
            &program.write(&format!("text.{suffix}"), "this is text, whatever its name says\n".repeat(40)),
        );
        preview(&program, &program.write(&format!("zeros.{suffix}"), vec![0; 5000]));
        let noise: Vec<u8> = (0..70_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        preview(&program, &program.write(&format!("noise.{suffix}"), noise));
        std::fs::create_dir(program.folder(&format!("folder.{suffix}"))).expect("a folder");
        preview(&program, &program.folder(&format!("folder.{suffix}")).to_string_lossy());
    }
    refused(&program, &program.file("text.tif").to_string_lossy(), "not a raster");
    refused(&program, &program.file("empty.tif").to_string_lossy(), "");
    refused(&program, &program.file("nothing.tif").to_string_lossy(), "no such file");
    for (name, metadata) in [
        ("a.zarr/zarr.json", "{"),
        ("b.zarr/zarr.json", "{\"zarr_format\": 99}"),
        ("c.zarr/.zarray", "[]"),
        ("d.zarr/.zgroup", ""),
    ] {
        let path = program.write(name, metadata);
        preview(&program, Path::new(&path).parent().expect("a folder").to_str().expect("text"));
    }
    let special = program.file("special.txt");
    assert!(std::process::Command::new("mkfifo").arg(&special).status().expect("mkfifo runs").success());
    for verb in ["preview", "cat", "stat"] {
        try_it(&program, &[verb, &special.to_string_lossy()]);
    }
}

#[test]
fn pictures_that_are_absurd_or_cut_off() {
    let program = Program::new();
    for (w, h) in [(60_000, 60_000), (0x7fff_ffff, 0x7fff_ffff), (u32::MAX, 1), (0, 0), (1, 0)] {
        let path = program.write("absurd.png", png(w, h));
        refused(&program, &path, "");
    }
    refused(&program, &program.write("large.png", png(60_000, 60_000)), "too large");
    let picture = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
    for (name, format) in [("x.png", image::ImageFormat::Png), ("x.jpg", image::ImageFormat::Jpeg)] {
        let mut bytes = Vec::new();
        picture.write_to(&mut std::io::Cursor::new(&mut bytes), format).expect("a picture");
        assert_eq!(preview(&program, &program.write(name, &bytes)).code, 0);
        for part in [1, 3, 10, 20, 40, bytes.len() / 3, bytes.len() / 2, bytes.len() - 20] {
            preview(&program, &program.write(name, &bytes[..part]));
        }
    }
}

#[test]
fn texts_that_attack() {
    let program = Program::new();
    for deep in ["[".repeat(100_000) + &"]".repeat(100_000), "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000)] {
        preview(&program, &program.write("deep.json", &deep));
        preview(&program, &program.write("catalog.json", &deep));
        try_it(&program, &["ls", &program.file("deep.json").to_string_lossy()]);
    }
    let hostile =
        b"caf\xe9 \xff\xfe\x80\n\x1b[2J\x1b]0;title\x07\x9b31m\xc2\x9b31m \xe2\x80\xae\n\r\ttab\0nul\n".repeat(20);
    for suffix in ["txt", "csv", "json", "md", "xml", "log", "ndjson"] {
        preview(&program, &program.write(&format!("hostile.{suffix}"), &hostile));
        preview(&program, &program.write(&format!("line.{suffix}"), "x,".repeat(300_000)));
        preview(&program, &program.write(&format!("quote.{suffix}"), format!("\"{}", "a,b\n".repeat(10_000))));
    }
    let named = program.write("na\u{1b}[31mme\n.txt", "x");
    for args in [["preview", &named], ["stat", &named], ["ls", &program.folder("").to_string_lossy()]] {
        assert_eq!(try_it(&program, &args).code, 0);
    }
    for spec in ["", "{", "{}", "repeats = -1", "[[series]]\nname = 5", "\u{1b}[31m", &"[".repeat(100_000)] {
        let path = program.write("spec.toml", spec);
        assert_ne!(try_it(&program, &["bench", "run", &path]).code, 0, "{spec}");
        assert_ne!(try_it(&program, &["bench", "report", &path]).code, 0, "{spec}");
    }
}

#[test]
fn catalogs_that_attack() {
    let program = Program::new();
    let up = "../".repeat(30) + "etc/passwd";
    let links = json!([
        { "rel": "parent", "href": up }, { "rel": "child", "href": up }, { "rel": "item", "href": "file:///etc/passwd" },
        { "rel": "child", "href": "./catalog.json" }, { "rel": "child", "href": "" }, { "rel": 5, "href": [] }, 7,
        { "rel": "item", "href": "x\u{1b}[2Jy.json", "title": "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}" },
        { "rel": "child", "href": "http://[::nonsense" }, { "rel": "child", "href": "s3:///" },
        { "rel": "child", "href": "http://127.0.0.1:9/catalog.json" },
    ]);
    let catalog = json!({ "type": "Catalog", "stac_version": "1.0.0", "id": "\u{1b}[31m", "title": "\u{202e}", "description": "\n\n\u{1b}c", "links": links });
    let item = json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "i\u{1b}[31m\nd", "geometry": { "type": "Polygon", "coordinates": [[]] },
        "bbox": [1e308, "a", null], "properties": { "title": "evil\u{1b}]0;x\u{7}", "datetime": "never", "eo:cloud_cover": [] },
        "links": links,
        "assets": {
            "a\u{1b}[2J": { "href": up, "title": "\u{1b}[2J", "type": "image/tiff; application=geotiff; profile=cloud-optimized" },
            "b": { "href": "file:///etc/passwd", "type": "text/plain" }, "c": { "href": "" }, "d": { "href": 7 }, "e": 7,
        },
    });
    let documents = [
        ("catalog.json", catalog.to_string()), ("item.json", item.to_string()), ("none.json", "{\"hello\": 1}".to_owned()),
        ("list.json", "[1, 2]".to_owned()), ("cut.json", item.to_string()[..200].to_owned()), ("null.json", "null".to_owned()),
        ("odd.json", json!({ "type": "Catalog", "stac_version": 3, "id": 4, "links": {}, "assets": [] }).to_string()),
        ("collection.json", json!({ "type": "Collection", "stac_version": "1.0.0", "id": "c", "extent": { "spatial": 5, "temporal": { "interval": [[]] } }, "links": null }).to_string()),
    ];
    let bucket = Ceph::find()
        .map(|ceph| (Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret), Bucket::new(&ceph)));
    for (name, text) in &documents {
        let path = program.write(&format!("catalog/{name}"), text);
        preview(&program, &path);
        try_it(&program, &["ls", &path]);
        try_it(&program, &["ls", &path, "--json"]);
        if let Some((remote, bucket)) = &bucket {
            bucket.put(&format!("deep/{name}"), text.as_bytes());
            preview(remote, &bucket.at(&format!("deep/{name}")));
            let listed = try_it(remote, &["ls", &bucket.at(&format!("deep/{name}")), "--json"]);
            // What a server says does not lead to files of this computer.
            for entry in listed.json() {
                assert!(!entry["location"].as_str().is_some_and(|at| at.starts_with('/')), "{entry}");
            }
        }
    }
    for name in ["none.json", "list.json", "cut.json", "null.json"] {
        let path = program.file(&format!("catalog/{name}")).to_string_lossy().into_owned();
        assert_ne!(try_it(&program, &["ls", &path]).code, 0, "{name}");
    }
}

#[test]
fn files_of_others_that_are_damaged() {
    let Some(data) = data() else { return };
    let program = Program::new();
    for path in
        files(&data.join("parquet/bad")).iter().chain([&data.join("raster/corrupt.tif").to_string_lossy().into_owned()])
    {
        preview(&program, path);
    }
    for (folder, suffix, wrong) in
        [("parquet", "parquet", true), ("geoparquet", "parquet", true), ("raster", "tif", false)]
    {
        for whole in files(&data.join(folder)).iter().filter(|path| path.ends_with(suffix)).take(4) {
            let bytes = std::fs::read(whole).expect("reads");
            for part in [4, 8, 100, bytes.len() / 4, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
                let run =
                    preview(&program, &program.write(&format!("cut.{suffix}"), &bytes[..part.min(bytes.len() - 1)]));
                assert!(run.code != 0 || !wrong, "{whole} was shown though it is cut at {part}: {}", run.text());
            }
            // A byte here and there is another.
            for seed in 0..6_usize {
                let mut bytes = bytes.clone();
                for n in 0..20 {
                    let at = (seed * 7919 + n * 104_729) * 2_654_435 % bytes.len();
                    bytes[at] ^= 1 << (n % 8);
                }
                preview(&program, &program.write(&format!("altered.{suffix}"), bytes));
            }
        }
    }
}
