//! HDF5 and netCDF that name other files: none is opened. The files are made by `tests/python/hdf5_files.py`.

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5").join(name)
}

/// On the disk and in memory, as HDF5 and under the name of a netCDF.
async fn places(stores: &Stores, name: &str, folder: &Path) -> Vec<Location> {
    let bytes = std::fs::read(fixture(name)).expect("reads");
    let mut out = Vec::new();
    for suffix in ["h5", "nc"] {
        let path = folder.join(name).with_extension(suffix);
        std::fs::write(&path, &bytes).expect("writes");
        out.push(Location::file(&path));
        out.push(in_memory(stores, &format!("{name}.{suffix}"), bytes.clone()).await);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_lie_in_other_files_are_not_read() {
    let (stores, folder) = (stores(), folder());
    let long = "values".repeat(200);
    for (name, values, other) in [
        ("external_storage.h5", "values", "/etc/passwd"),
        ("virtual.h5", "values", "tree.h5"),
        ("long_name.h5", &long, "/etc/passwd"),
    ] {
        for location in places(&stores, name, folder.path()).await {
            for at in [location.clone(), raster::part_of(&location, values), raster::part_of(&location, "own")] {
                let err = preview(&stores, &at).await.err().unwrap_or_else(|| panic!("{at} was followed"));
                let said = err.to_string();
                assert!(said.contains("`/values") && said.contains("not followed") && said.contains(other), "{said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_other_files_lead_nowhere() {
    let (stores, folder) = (stores(), folder());
    for location in places(&stores, "link.h5", folder.path()).await {
        let values = preview(&stores, &raster::part_of(&location, "values")).await;
        assert!(values.is_err(), "{location} was followed");
        let all = preview(&stores, &location).await;
        if location.extension() == "nc" {
            // Its library gives up at such a link.
            let said = all.expect_err("not opened").to_string();
            assert!(said.contains("`/values` is a link to another file"), "{said}");
            continue;
        }
        let Preview::Tree(tree) = all.expect("what is in it").preview else { panic!("no tree of {location}") };
        let names: Vec<&str> = tree.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["own", "grid/", "depth"]);
    }
    for location in places(&stores, "links_only.h5", folder.path()).await {
        let said = preview(&stores, &location).await.expect_err("nothing in it").to_string();
        assert!(said.contains("link to another file") || said.contains("no raster"), "{said}");
    }
    // A member of a VRT could do the same.
    let bytes = std::fs::read(fixture("virtual.h5")).expect("reads");
    in_memory(&stores, "v/x.tif", bytes).await;
    let location = in_memory(&stores, "v/all.vrt", vrt(16, &[("x.tif", 0)])).await;
    let said = preview(&stores, &location).await.expect_err("not followed").to_string();
    assert!(said.contains("HDF5") && said.contains("not followed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_a_tree_with_values_as_gdal_reads_them() {
    let (stores, folder) = (stores(), folder());
    for location in places(&stores, "tree.h5", folder.path()).await {
        let Preview::Tree(tree) = preview(&stores, &location).await.expect("a preview").preview else {
            panic!("no tree of {location}")
        };
        // A link within the file is one more of it for netCDF.
        let nodes: Vec<_> = tree.nodes.iter().filter(|n| n.name != "again").collect();
        let seen: Vec<(u16, &str, &str)> =
            nodes.iter().map(|n| (n.depth, n.name.as_str(), n.detail.as_str())).collect();
        let known = [
            (0, "height", "16 × 24 u16"),
            (0, "grid/", ""),
            (1, "depth", "16 × 24 u16"),
            (1, "fine/", ""),
            (2, "depth", "8 × 12 f32"),
        ];
        assert_eq!(seen, known, "{location}");
        let target = nodes[4].target.clone().expect("a target");
        assert_eq!(target, raster::part_of(&location, "grid/fine/depth"));
        let control = Control::default();
        let opened = raster::open(&stores, &target, &control, NO_LIMIT).await.expect("opens");
        let view = View { bands: vec![1], window: None, pixels: (12, 8) };
        let read = opened.view(&control, view).await.expect("reads");
        let expected: Vec<f32> = (0..96_u16).map(|i| f32::from(i / 12 * 24 + i % 12) / 2.0).collect();
        let flipped: Vec<f32> = expected.chunks(12).rev().flatten().copied().collect();
        // Without coordinates, GDAL's netCDF puts the first row at the bottom.
        assert!(read.values[0] == expected || read.values[0] == flipped, "{location}: {:?}", read.values[0]);
    }
    // A dataset that is put together of others of the same file is no danger.
    let own = raster::part_of(&Location::file(&fixture("virtual_within.h5")), "values");
    assert!(matches!(preview(&stores, &own).await.expect("read").preview, Preview::Raster(_)));
}
