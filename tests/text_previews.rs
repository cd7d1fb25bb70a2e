//! Text and Zarr metadata through the store: what is shown, what it costs, and what bad files give.
#![allow(clippy::print_stdout)] // what was skipped

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use secchi::error::{Kind, Result};
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Language, Loaded, Preview, Probe, Text, Tree};
use secchi::store::{Options, Stores};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn stores() -> Stores {
    Stores::new(Options::default())
}

fn at(key: &str) -> Location {
    Location::parse(&format!("memory:///{key}")).expect("a location")
}

async fn put(stores: &Stores, key: &str, bytes: impl Into<Bytes>) -> Location {
    let location = at(key);
    let handle = stores.open(&location, &Meter::new()).await.expect("opens");
    handle.object_store().put(&handle.path(key), bytes.into().into()).await.expect("puts");
    location
}

async fn load(stores: &Stores, location: &Location) -> Result<Loaded> {
    secchi::previews::load(stores.clone(), Ask::new(Probe::new(location.clone()), Meter::new())).await
}

async fn text(stores: &Stores, key: &str, bytes: impl Into<Bytes>) -> (Text, u64) {
    let location = put(stores, key, bytes).await;
    let loaded = load(stores, &location).await.expect(key);
    assert_eq!(loaded.format, "text", "{key}");
    let Preview::Text(text) = loaded.preview else { panic!("{key} is no text") };
    (text, loaded.cost.requests)
}

async fn tree(stores: &Stores, location: &Location) -> (Tree, u64) {
    let loaded = load(stores, location).await.unwrap_or_else(|err| panic!("{location}: {err}"));
    assert_eq!(loaded.format, "zarr", "{location}");
    let Preview::Tree(tree) = loaded.preview else { panic!("{location} is no tree") };
    (tree, loaded.cost.requests)
}

/// `depth name  detail` of each node.
fn shown(tree: &Tree) -> Vec<String> {
    tree.nodes.iter().map(|n| format!("{}{}  {}", "  ".repeat(n.depth as usize), n.name, n.detail)).collect()
}

#[tokio::test]
async fn text_is_recognised_by_name_or_by_look_in_one_request() {
    let stores = stores();
    let (readme, requests) = text(&stores, "README", "Ruoveden pohjoisosa\nJärvi\n").await;
    assert_eq!((readme.lines.len(), readme.truncated, requests), (2, false, 1));
    assert_eq!(text(&stores, "a.json", r#"{"type":"Feature","id":1}"#).await.0.lines[1], r#"  "type": "Feature","#);
    assert_eq!(text(&stores, "b.json", "{\"cut\":").await.0.lines, ["{\"cut\":"]);
    assert_eq!(text(&stores, "manifest.safe", "<?xml?>").await.0.language, Language::Xml);
    assert_eq!(text(&stores, "noname", "{\"a\": 1,\n\"b\": 2}").await.0.language, Language::Json);
    assert_eq!(text(&stores, "c.txt", &b"\xff\xfea\0\r\0\n\0b\0"[..]).await.0.lines, ["a", "b"]);
    assert!(text(&stores, "empty", "").await.0.lines.is_empty());

    for (key, bytes) in [("x.bin", &b"a\0b"[..]), ("lies.txt", b"\x7fELF\0\0\0\0\0\x01")] {
        let location = put(&stores, key, bytes).await;
        assert!(matches!(load(&stores, &location).await.expect(key).preview, Preview::Hex(_)), "{key}");
    }
}

#[tokio::test]
async fn a_large_text_is_cut_and_says_so_and_lines_can_be_asked_for() {
    let stores = stores();
    let log = (0..200_000).map(|i| format!("line {i} ä湖\n")).collect::<Vec<_>>().concat();
    let (cut, requests) = text(&stores, "big.log", log).await;
    assert!(cut.truncated && cut.lines.len() > 10_000 && requests == 1, "{} {requests}", cut.lines.len());
    assert!(cut.lines.last().is_some_and(|l| l.ends_with('…') && !l.contains('\u{fffd}')));

    let mut ask = Ask::new(Probe::new(at("big.log")), Meter::new());
    (ask.lines, ask.offset) = (Some(2), 100_000);
    let loaded = secchi::previews::load(stores.clone(), ask).await.expect("a window");
    let Preview::Text(window) = loaded.preview else { panic!("no text") };
    assert_eq!((window.lines, window.truncated), (vec!["line 100000 ä湖".into(), "line 100001 ä湖".into()], true));
}

#[tokio::test]
async fn a_document_on_one_line_is_read_whole_and_unfolded() {
    let stores = stores();
    let numbers: Vec<u32> = (0..100_000).collect();
    let (unfolded, requests) = text(&stores, "one.json", json!({ "n": numbers, "end": true }).to_string()).await;
    assert!(unfolded.truncated && unfolded.lines.len() == 50_000, "{}", unfolded.lines.len());
    assert_eq!((unfolded.lines[1].as_str(), requests), ("  \"n\": [", 3));
    let (long, requests) = text(&stores, "long.json", format!("[\"{}\"]", "x".repeat(3_000_000))).await;
    assert_eq!((long.lines.len(), long.truncated, requests), (1, true, 2));
}

fn array_v3(shape: &[u64], chunks: &[u64], attributes: &Value) -> Value {
    json!({
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint16", "fill_value": 0,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": chunks } },
        "codecs": [{ "name": "bytes" }, { "name": "blosc", "configuration": { "cname": "lz4" } }],
        "dimension_names": ["time", null], "attributes": attributes,
    })
}

#[tokio::test]
async fn consolidated_metadata_cost_one_request_and_lead_nowhere_else() {
    let stores = stores();
    let member = array_v3(&[6, 600], &[2, 256], &json!({ "long_name": "a", "units": "K" }));
    let root = json!({
        "zarr_format": 3, "node_type": "group", "attributes": { "title": "T" },
        "consolidated_metadata": { "metadata": {
            "data": member, "deep/er/x": member, "../../etc": member, "a//b": member, "broken": { "zarr_format": 9 },
        } },
    });
    put(&stores, "s.zarr/zarr.json", root.to_string()).await;
    for location in ["s.zarr/", "s.zarr", "s.zarr/zarr.json"] {
        let (tree, requests) = tree(&stores, &at(location)).await;
        assert_eq!(requests, 1, "{location}");
        assert_eq!(tree.facts.title, "Zarr v3 group · 2 arrays, 2 groups");
        assert_eq!(
            shown(&tree),
            [
                "broken  not Zarr v3 metadata: `zarr_format` is not 3",
                "data  6×600 u16  chunks 2×256  blosc(lz4)  time,_",
                "  long_name  a",
                "  units  K",
                "deep  group",
                "  er  group",
                "    x  6×600 u16  chunks 2×256  blosc(lz4)  time,_",
                "      long_name  a",
                "      units  K",
                "attributes  1",
                "  title  T",
            ]
        );
        assert_eq!(tree.nodes[6].target, Some(at("s.zarr/deep/er/x/")));
        assert!(tree.facts.rows.iter().any(|(name, v)| name == "Note" && v.contains("impossible names")));
    }
}

#[tokio::test]
async fn members_without_consolidated_metadata_are_found_and_bounded() {
    let stores = stores();
    let group = json!({ "zarr_format": 3, "node_type": "group" }).to_string();
    let member = array_v3(&[4], &[2], &json!({})).to_string();
    for key in ["", "g/", "g/h/", "g/h/i/", "g/h/i/too-deep/"] {
        put(&stores, &format!("w.zarr/{key}zarr.json"), group.clone()).await;
    }
    put(&stores, "w.zarr/g/a/zarr.json", member.clone()).await;
    put(&stores, "w.zarr/g/a/c/0", "chunk").await;
    put(&stores, "w.zarr/b/zarr.json", "{\"zarr_format\": 3,").await;
    put(&stores, "w.zarr/no-member/file", "x").await;
    let (found, _) = tree(&stores, &at("w.zarr/")).await;
    let lines = shown(&found);
    assert!(
        lines[0].starts_with("b  ") && lines[0].contains("w.zarr/b/zarr.json") && lines[0].contains("not valid JSON")
    );
    assert_eq!(
        lines[1..],
        ["g  group", "  a  4 u16  chunks 2  blosc(lz4)", "  h  group", "    i  group"].map(String::from)
    );
    assert!(found.facts.rows.iter().any(|(n, v)| n == "Note" && v.contains("level 3")), "{:?}", found.facts);

    put(&stores, "many.zarr/zarr.json", group).await;
    for i in 0..230 {
        put(&stores, &format!("many.zarr/m{i:03}/zarr.json"), member.clone()).await;
    }
    let (many, requests) = tree(&stores, &at("many.zarr/")).await;
    assert_eq!((many.nodes.len(), many.nodes[199].name.as_str()), (200, "m199"));
    assert!(requests <= 202 && many.facts.rows.iter().any(|(n, v)| n == "Note" && v.contains("more than 200")));
}

#[tokio::test]
async fn version_2_reads_the_same_with_and_without_consolidation() {
    let stores = stores();
    let array = json!({
        "zarr_format": 2, "shape": [10, 20], "chunks": [5, 5], "dtype": "<M8[ns]", "fill_value": null, "order": "C",
        "compressor": { "id": "blosc", "cname": "zstd" }, "filters": [{ "id": "delta" }],
    });
    let group = json!({ "zarr_format": 2 });
    let attributes = r#"{"_FillValue": NaN, "_ARRAY_DIMENSIONS": ["y", "x"], "scale_factor": 0.1}"#;
    put(&stores, "v2.zarr/.zgroup", group.to_string()).await;
    put(&stores, "v2.zarr/t/.zarray", array.to_string()).await;
    put(&stores, "v2.zarr/t/.zattrs", attributes).await;
    let expected =
        ["t  10×20 datetime64[ns]  chunks 5×5  delta blosc(zstd)  y,x", "  scale_factor  0.1", "  _FillValue  NaN"];
    let (walked, _) = tree(&stores, &at("v2.zarr/")).await;
    assert_eq!(shown(&walked), expected);

    let all = format!(r#"{{"metadata": {{".zgroup": {group}, "t/.zarray": {array}, "t/.zattrs": {attributes}}}}}"#);
    put(&stores, "v2.zarr/.zmetadata", all).await;
    let (consolidated, requests) = tree(&stores, &at("v2.zarr/.zgroup")).await;
    assert_eq!(shown(&consolidated), expected);
    assert_eq!((consolidated.facts.title.as_str(), requests), ("Zarr v2 group · 1 array", 2));
}

#[tokio::test]
async fn what_is_no_zarr_says_so_in_a_sentence() {
    let stores = stores();
    put(&stores, "none.zarr/file", "x").await;
    let err = load(&stores, &at("none.zarr/")).await.expect_err("no Zarr");
    assert_eq!((err.kind(), err.to_string().contains("is not a Zarr")), (Kind::NotFound, true), "{err}");
    for (text, why) in [
        ("{\"zarr_format\":", "not valid JSON"),
        ("[]", "zarr_format"),
        (r#"{"zarr_format":3,"node_type":"array","shape":[-1]}"#, "no `shape`"),
        (&"[".repeat(100_000), "not valid JSON"),
    ] {
        put(&stores, "bad.zarr/zarr.json", text.to_owned()).await;
        let err = load(&stores, &at("bad.zarr/")).await.expect_err(text);
        assert_eq!(err.kind(), Kind::Invalid, "{err}");
        let words = err.to_string();
        assert!(words.contains("bad.zarr/zarr.json") && words.contains(why), "{words}");
    }
}

#[tokio::test]
async fn the_zarrs_of_others_open() {
    let folder = std::env::var_os("SECCHI_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
        .join("zarr");
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let stores = stores();
    let local = |name: &str| Location::file(&folder.join(name)).as_container();
    let (hierarchy, _) = tree(&stores, &local("hierarchy.zarr")).await;
    let lines = shown(&hierarchy);
    assert_eq!(
        lines[..2],
        ["a  group", "  baz  10000×1000 f64  chunks 1000×100  gzip  rows,columns"].map(String::from)
    );
    assert_eq!(hierarchy.nodes[1].target, Some(local("hierarchy.zarr/a/baz")));

    let (sharded, _) = tree(&stores, &local("sharded_array_write_read.zarr/group").child("zarr.json")).await;
    assert_eq!(shown(&sharded)[0], "array  8×8 u16  shards 4×8 of chunks 4×4  gzip  y,x");
    let (v2, _) = tree(&stores, &local("v2/array_blosc_C.zarr")).await;
    assert_eq!(shown(&v2)[0], "array_blosc_C.zarr  10×10 f32  chunks 5×5  blosc(zstd)");
    let (cities, _) = tree(&stores, &local("v3/cities.zarr")).await;
    assert_eq!(cities.facts.title, "Zarr v3 array 47868 string");
}
