//! Tells the program with which GDAL it was built: an older one is not taken when it runs (see `library.rs` beside it).

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_GDAL_VERSION_NUMBER");
    // `gdal-sys` says 3060200 of GDAL 3.6.2.
    let number = std::env::var("DEP_GDAL_VERSION_NUMBER").unwrap_or_default();
    println!("cargo:rustc-env=GDAL_VERSION_NUMBER={number}");
}
