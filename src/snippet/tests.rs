use super::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

fn loc(text: &str) -> Location {
    Location::parse(text).expect(text)
}

fn ceph() -> Reach {
    Reach {
        endpoint: Some("http://127.0.0.1:7480".into()),
        region: Some("eu-1".into()),
        profile: Some("allas".into()),
        path_style: true,
        ca: None,
        origin: Origin::Profile,
    }
}

/// Places as they come: with a profile, with certificates of one's own, on Amazon, public.
fn reaches() -> Vec<Reach> {
    vec![
        ceph(),
        Reach {
            endpoint: Some("https://s3.example.org".into()),
            ca: Some(PathBuf::from("/etc/it's \"ca\".pem")),
            path_style: false,
            profile: Some("a\"b'c\\".into()),
            ..ceph()
        },
        Reach { profile: Some("default".into()), region: None, origin: Origin::Profile, ..Reach::default() },
        Reach { origin: Origin::Environment, ..Reach::default() },
        Reach { region: Some("us-west-2".into()), ..Reach::default() },
        Reach { origin: Origin::Program, profile: Some("demo".into()), ..ceph() },
        Reach { origin: Origin::S3cfg, ..ceph() },
    ]
}

const THINGS: [&str; 16] = [
    "s3://allas@b/a/stations.parquet",
    "s3://allas@b/a/x.csv",
    "s3://b/x.tsv",
    "s3://b/B02.tif",
    "s3://b/cube.zarr/",
    "s3://b/ocean.nc",
    "s3://b/cat/catalog.json",
    "s3://b/cat/item.json",
    "s3://b/prefix/",
    "s3://allas@b/od\"d 'k\\ey\n\u{1b}[31m/é//../x.parquet",
    "s3://b/od\"d 'k\\ey\n/é.tif",
    "https://h.example/stac/collections/s2/items/one",
    "https://h.example/stac/collections",
    "https://h.example/data/x.tif",
    "/tmp/it's/x.parquet",
    "gs://b/x.zarr/",
];

fn text(offers: &[Offer], name: &str) -> String {
    let offer = offers.iter().find(|o| o.name == name).unwrap_or_else(|| panic!("{name} in {offers:?}"));
    match &offer.body {
        Body::Text(text) => text.clone(),
        Body::Link { .. } => panic!("{name} is a link"),
    }
}

#[test]
fn every_offer_has_a_letter_of_its_own_that_moves_no_cursor() {
    for reach in reaches() {
        for thing in THINGS {
            let offers = offers(&[loc(thing)], None, &reach);
            let letters: BTreeSet<char> = offers.iter().map(|o| o.letter).collect();
            assert_eq!(letters.len(), offers.len(), "{thing}: {offers:?}");
            assert!(letters.iter().all(|l| !"jkhlgGq?y".contains(*l)), "{thing}: {letters:?}");
            assert!(offers.iter().all(|o| o.name.len() <= 15), "a column of names");
        }
    }
}

#[test]
fn only_what_fits_is_offered() {
    let names = |thing: &str| -> Vec<&str> { offers(&[loc(thing)], None, &ceph()).iter().map(|o| o.name).collect() };
    assert!(names("s3://b/x.parquet").contains(&"DuckDB") && !names("s3://b/x.tif").contains(&"DuckDB"));
    assert!(names("s3://b/x.tif").contains(&"rasterio") && names("s3://b/x.tif").contains(&"gdalinfo"));
    assert!(!names("s3://b/prefix/").contains(&"link to read"), "a prefix has no link");
    assert!(!names("/tmp/x.parquet").contains(&"rclone"));
    assert!(names("https://h/stac/collections").contains(&"pystac-client"));
    let public = Reach { region: Some("us-west-2".into()), ..Reach::default() };
    let open: Vec<&str> = offers(&[loc("s3://b/x")], None, &public).iter().map(|o| o.name).collect();
    assert!(open.contains(&"curl") && !open.contains(&"link to read"), "public data need no signature: {open:?}");
    // What a catalog told goes before a name that tells nothing.
    let told = offers(&[loc("s3://b/asset")], Some("image/tiff; application=geotiff"), &ceph());
    assert!(told.iter().any(|o| o.name == "rasterio"));
}

#[test]
fn several_are_a_line_each() {
    let two = [loc("s3://allas@b/x.tif"), loc("s3://allas@b/a b.tif")];
    let offers = offers(&two, None, &ceph());
    assert_eq!(text(&offers, "without profile"), "s3://b/x.tif\ns3://b/a b.tif");
    assert_eq!(text(&offers, "https URL"), "http://127.0.0.1:7480/b/x.tif\nhttp://127.0.0.1:7480/b/a%20b.tif");
    assert_eq!(text(&offers, "secchi"), "secchi preview s3://allas@b/x.tif\nsecchi preview 's3://allas@b/a b.tif'");
    assert!(offers.iter().all(|o| o.name != "rasterio" && o.name != "link to write"));
    assert!(super::offers(&[], None, &ceph()).is_empty());
}

#[test]
fn a_few_as_they_are() {
    let raster = offers(&[loc("s3://allas@b/B02.tif")], None, &ceph());
    assert_eq!(
        text(&raster, "gdalinfo"),
        "AWS_PROFILE=allas AWS_REGION=eu-1 AWS_S3_ENDPOINT=127.0.0.1:7480 AWS_HTTPS=NO AWS_VIRTUAL_HOSTING=FALSE \
         GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR gdalinfo /vsis3/b/B02.tif"
    );
    let zarr = offers(&[loc("s3://allas@b/cube.zarr/")], None, &ceph());
    assert_eq!(
        text(&zarr, "xarray"),
        "import xarray\n\nds = xarray.open_zarr(\n    \"s3://b/cube.zarr\",\n    storage_options={\n        \
         \"profile\": \"allas\",\n        \"endpoint_url\": \"http://127.0.0.1:7480\",\n        \
         \"client_kwargs\": {\"region_name\": \"eu-1\"},\n    },\n)"
    );
    let table = offers(&[loc("s3://allas@b/it's.parquet")], None, &ceph());
    assert!(text(&table, "DuckDB").ends_with("SELECT * FROM read_parquet('s3://b/it''s.parquet') LIMIT 10;"));
    assert!(text(&table, "DuckDB").contains("PROFILE 'allas',\n    ENDPOINT '127.0.0.1:7480',\n    USE_SSL false"));
    let odd = offers(&[loc("s3://b/-rf\n")], None, &ceph());
    assert!(text(&odd, "aws s3 cp").starts_with(r"aws s3 cp $'s3://b/-rf\n' $'./-rf\n' --profile allas"));
}

#[test]
fn python_parses_and_nothing_pasted_presses_a_key() {
    let mut programs = Vec::new();
    for reach in reaches() {
        for thing in THINGS {
            for offer in offers(&[loc(thing)], None, &reach) {
                let Body::Text(text) = offer.body else { continue };
                if offer.language != Language::Plain {
                    let lines = text.replace('\n', "");
                    assert_eq!(crate::text::clean(&lines), lines, "{thing}: {}", offer.name);
                }
                if offer.language == Language::Python {
                    programs.push(text);
                }
            }
        }
    }
    assert!(programs.len() > 50);
    let python = std::env::var("SECCHI_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = "import ast, json, sys\nfor text in json.load(sys.stdin):\n    try: ast.parse(text)\n    \
                  except SyntaxError as e: sys.exit(f'{e}\\n{text}')";
    let file = tempfile::NamedTempFile::new().expect("a file");
    serde_json::to_writer(file.as_file(), &programs).expect("written");
    let input = std::fs::File::open(file.path()).expect("opens");
    let Ok(out) = Command::new(&python).args(["-c", script]).stdin(input).output() else { return };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
