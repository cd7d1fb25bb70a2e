//! The demo as a client meets it: over HTTP, with its keys.

#![allow(clippy::print_stdout)] // what was measured, or skipped, is for whoever reads the test's output

use futures::{StreamExt as _, TryStreamExt as _};
use gdal::Metadata as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, ObjectStore, ObjectStoreExt as _};
use secchi::catalog::{self, Type};
use secchi::demo::{self, Demo};
use secchi::entry::EntryKind;
use secchi::listing::Page;
use secchi::location::Location;
use secchi::meter::Meter;
use secchi::preview::{Ask, Preview, Probe};
use secchi::store::Stores;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn stores(demo: &Demo) -> Stores {
    let stores = Stores::new(secchi::store::Options::default());
    stores.give(demo::PROFILE, demo.given());
    stores
}

fn client(demo: &Demo, secret: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(&demo.endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(&demo.bucket)
        .with_access_key_id(&demo.access_key)
        .with_secret_access_key(secret)
        .build()
        .expect("a client")
}

const SERIES: [&str; 6] = ["03", "08", "13", "18", "23", "28"];

fn cog(day: &str) -> String {
    format!("s2/35VLH/2024/06/S2A_35VLH_202406{day}_0_L1C/B02_B03_B04_B08.tif")
}

/// One demo for all that is read: generating it takes its time in an unoptimised build.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_serves_samples_that_fit_together() {
    let began = Instant::now();
    let demo = demo::start(None).expect("starts");
    let started = began.elapsed();
    demo.ready().await.expect("fills");
    println!("started in {started:?}, filled in {:?}", began.elapsed());
    assert!(started < Duration::from_secs(1), "{started:?}");
    assert_eq!(demo.progress(), (15, 15));

    let store = client(&demo, &demo.secret_key);
    let keys: BTreeSet<String> =
        store.list(None).map_ok(|o| o.location.to_string()).try_collect().await.expect("lists");
    assert_eq!(keys.iter().filter(|k| k.starts_with("many/")).count(), 5000);
    for key in [
        "README.md",
        "ctd/glodap-like.csv",
        "pictures/secchi-disk.png",
        "names/湖の透明度.txt",
        "names/a key with spaces.txt",
    ] {
        assert!(keys.contains(key), "{key} is not in the listing");
    }
    assert!(keys.iter().any(|k| k.ends_with("_B8A.jp2")));

    names_can_be_read(&store, &keys).await;
    cogs_tell_their_type(&store).await;
    pixels_are_equal(&demo);
    tables_are_as_said(&demo);
    every_link_leads_somewhere(&demo, &keys).await;
    the_catalog_lists_and_previews(&demo).await;

    let folder = demo.folder().to_owned();
    drop(demo);
    assert!(!folder.exists(), "the temporary folder is gone");
}

async fn names_can_be_read(store: &AmazonS3, keys: &BTreeSet<String>) {
    for key in keys.iter().filter(|k| k.starts_with("names/")) {
        let path = Path::parse(key).expect("a path");
        let bytes = store.get(&path).await.expect(key).bytes().await.expect(key);
        assert!(!bytes.is_empty(), "{key}");
    }
}

async fn cogs_tell_their_type(store: &AmazonS3) {
    let got = store.get(&Path::from(cog("03"))).await.expect("the COG");
    assert_eq!(
        got.attributes.get(&Attribute::ContentType).map(AsRef::as_ref),
        Some("image/tiff; application=geotiff; profile=cloud-optimized")
    );
    assert_eq!(
        got.attributes.get(&Attribute::Metadata("fairease.catalog.mediatype".into())).map(AsRef::as_ref),
        Some("COG")
    );
    let etag = got.meta.e_tag.clone().expect("an ETag");
    assert_eq!(etag.len(), 34, "{etag}");
    let some = store.get_range(&Path::from(cog("03")), 0..4).await.expect("a range");
    assert_eq!(some.as_ref(), b"II*\0");
}

fn pixels_are_equal(demo: &Demo) {
    let lake = demo.folder().join(&demo.bucket);
    let group =
        std::sync::Arc::new(zarrs::filesystem::FilesystemStore::new(lake.join("zarr/35VLH.zarr")).expect("store"));
    let data = zarrs::array::Array::open(group.clone(), "/data").expect("the array");
    assert_eq!(data.shape(), [6, 4, 600, 600]);
    for (time, day) in SERIES.iter().enumerate() {
        let image = gdal::Dataset::open(lake.join(cog(day))).expect("the COG");
        assert_eq!(image.metadata_item("LAYOUT", "IMAGE_STRUCTURE").as_deref(), Some("COG"));
        for band in 0..4_usize {
            let raster = image.rasterband(band + 1).expect("a band");
            assert_eq!(raster.overview_count().expect("overviews"), 2);
            let from_cog = raster.read_band_as::<u16>().expect("pixels");
            let (t, b) = (time as u64, band as u64);
            let from_zarr: Vec<u16> =
                data.retrieve_array_subset(&[t..t + 1, b..b + 1, 0..600, 0..600]).expect("pixels");
            assert!(from_cog.data() == from_zarr, "date {day}, band {band}");
        }
    }
    let names: Vec<String> = zarrs::array::Array::open(group, "/band")
        .expect("the bands")
        .retrieve_array_subset(&zarrs::array::ArraySubset::new_with_shape(vec![4]))
        .expect("their names");
    assert_eq!(names, ["B02", "B03", "B04", "B08"]);

    let product =
        std::fs::read_dir(lake.join("safe")).expect("safe").next().expect("a product").expect("an entry").path();
    let xml = std::fs::read_to_string(product.join("MTD_MSIL1C.xml")).expect("its metadata");
    assert!(xml.contains("<RADIO_ADD_OFFSET band_id=\"12\">-1000<"));
    for line in xml.lines().filter_map(|l| l.trim().strip_prefix("<IMAGE_FILE>")) {
        let file = line.strip_suffix("</IMAGE_FILE>").expect("a name");
        let image = gdal::Dataset::open(product.join(format!("{file}.jp2"))).expect(file);
        assert_eq!(image.spatial_ref().expect("a reference").auth_code().expect("a code"), 32635);
    }
}

fn tables_are_as_said(demo: &Demo) {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let lake = demo.folder().join(&demo.bucket);
    let csv = std::fs::read_to_string(lake.join("ctd/glodap-like.csv")).expect("the CSV");
    let columns = csv.lines().next().expect("a header").split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
    assert_eq!(csv.lines().count(), 20_041);
    assert!(csv.contains(",-9999,9,"));

    let file = std::fs::File::open(lake.join("ctd/stations.parquet")).expect("the file");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let metadata = reader.metadata();
    assert_eq!(metadata.file_metadata().num_rows(), 1670);
    assert_eq!(metadata.num_row_groups(), 7);
    assert!(metadata.row_group(0).column(0).column_index_offset().is_some(), "a page index");
    let geo = metadata.file_metadata().key_value_metadata().expect("metadata").iter().find(|k| k.key == "geo");
    let geo = geo.and_then(|k| k.value.as_deref()).expect("geo");
    assert!(geo.contains("\"covering\"") && geo.contains("1.1.0"));
}

async fn every_link_leads_somewhere(demo: &Demo, keys: &BTreeSet<String>) {
    let stores = stores(demo);
    let mut open = vec![demo.location().with_key("stac/catalog.json")];
    let (mut seen, mut items) = (BTreeSet::new(), 0);
    while let Some(location) = open.pop() {
        if !seen.insert(location.clone()) {
            continue;
        }
        let document = catalog::fetch(&stores, &location, &Meter::new()).await.expect("a document");
        assert_eq!(document.fault, None, "{location}");
        items += usize::from(document.kind == Type::Item);
        for link in &document.links {
            let target = link.target.as_ref().expect(&link.href);
            assert!(keys.contains(target.key()), "{location} links {target}");
        }
        for asset in &document.assets {
            let target = asset.target.as_ref().expect(&asset.href);
            let file = demo.folder().join(&demo.bucket).join(target.key());
            if target.is_container() {
                assert!(keys.contains(target.child("zarr.json").key()), "{location} has the asset {target}");
            } else {
                assert!(keys.contains(target.key()), "{location} has the asset {target}");
                assert_eq!(asset.size, Some(std::fs::metadata(file).expect("a file").len()), "{target}");
            }
        }
        open.extend(document.children().into_iter().map(|c| c.target));
    }
    assert_eq!(items, 9);
}

async fn the_catalog_lists_and_previews(demo: &Demo) {
    let stores = stores(demo);
    let root = demo.location().with_key("stac/catalog.json");
    let list = async |location: &Location| {
        let source = secchi::sources::of(location).expect("a source");
        assert_eq!(source.name, "stac");
        let pages: Vec<Page> = (source.list)(stores.clone(), location.clone()).try_collect().await.expect("pages");
        pages.into_iter().flat_map(|page| page.into_block().to_entries()).collect::<Vec<_>>()
    };
    let collections = list(&root).await;
    assert_eq!(
        collections.iter().map(|e| (e.kind, &*e.name)).collect::<Vec<_>>(),
        [
            (EntryKind::Collection, "sentinel-2-l1c"),
            (EntryKind::Collection, "dem"),
            (EntryKind::Collection, "hydrography"),
        ]
    );
    let scenes = list(&collections[0].location(&root)).await;
    assert_eq!(scenes[0].kind, EntryKind::Item);
    assert_eq!(scenes[0].more.as_ref().and_then(|m| m.detail.as_deref()), Some("2024-06-03T09:50:31Z"));
    assert_eq!(scenes.last().map(|e| e.kind), Some(EntryKind::Asset));
    let item = scenes[0].location(&root);
    let assets = list(&item).await;
    assert_eq!(&*assets[0].name, "data");
    assert_eq!(assets[0].location(&item).key(), cog("03"));
    assert!(assets[0].size.is_some());

    let asked = Ask::new(Probe::new(item), Meter::new());
    let loaded = secchi::previews::load(stores.clone(), asked).await.expect("a preview");
    let Preview::Tree(tree) = loaded.preview else { panic!("a tree") };
    assert_eq!(loaded.format, "stac");
    assert!(tree.facts.title.starts_with("STAC Item 2024-06-03"), "{}", tree.facts.title);
    assert!(tree.nodes.iter().any(|n| n.name == "data" && n.target.is_some()));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_every_start_has_its_own_keys() {
    let (one, two) = (demo::start(None).expect("starts"), demo::start(None).expect("starts"));
    assert_ne!(one.secret_key, two.secret_key);
    assert!(!format!("{one:?} {:?}", one.given()).contains(&one.secret_key));
    let refused = client(&one, "not the secret").list(None).next().await.expect("an answer");
    assert!(refused.is_err());
    assert!(client(&one, &one.secret_key).list_with_delimiter(None).await.is_ok());
}

#[tokio::test]
async fn a_folder_with_files_of_others_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join(demo::BUCKET)).expect("a bucket");
    std::fs::write(folder.path().join(demo::BUCKET).join("mine.txt"), "mine").expect("a file");
    let err = demo::start(Some(folder.path().to_owned())).expect_err("refused");
    assert_eq!(err.kind(), secchi::error::Kind::Exists);
}

#[test]
fn without_a_runtime_it_says_so() {
    assert!(demo::start(None).expect_err("no runtime").to_string().contains("Tokio"));
}

#[tokio::test]
#[ignore = "for a look: SECCHI_DEMO_FOLDER=… cargo test --test demo -- --ignored --nocapture"]
async fn samples_for_a_look() {
    let began = Instant::now();
    let demo = demo::start(std::env::var_os("SECCHI_DEMO_FOLDER").map(Into::into)).expect("starts");
    println!("{} {} started in {:?}", demo.endpoint, demo.bucket, began.elapsed());
    demo.ready().await.expect("fills");
    println!("filled in {:?}: {:?}", began.elapsed(), demo.progress());
    if let Some(seconds) = std::env::var("SECCHI_DEMO_SECONDS").ok().and_then(|s| s.parse().ok()) {
        println!("{} {}", demo.access_key, demo.secret_key);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}
