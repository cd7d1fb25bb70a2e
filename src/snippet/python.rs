//! Python: the libraries of the field, each with its own way to name a profile and an endpoint.

use super::plain;
use super::quote::python as quoted;
use crate::location::{Location, Scheme};
use crate::store::{Origin, Reach};

/// The profile to be named, where other tools find it.
pub(super) fn profile(reach: &Reach) -> Option<&str> {
    matches!(reach.origin, Origin::Profile | Origin::S3cfg).then_some(reach.profile.as_deref()).flatten()
}

/// `name=value, name=value`, long ones a line each.
fn call(head: &str, args: &[String], tail: &str) -> String {
    let flat = format!("{head}{}{tail}", args.join(", "));
    if flat.len() <= 88 || args.len() < 2 {
        return flat;
    }
    let lines: Vec<String> = args.iter().map(|arg| format!("    {arg},\n")).collect();
    format!("{head}\n{}{tail}", lines.concat())
}

/// Options of `s3fs`, as a dictionary: `{"profile": "allas", "endpoint_url": "…"}`; `None` off S3.
/// <https://s3fs.readthedocs.io/en/latest/api.html>
fn s3fs(location: &Location, reach: &Reach) -> Option<String> {
    if location.scheme() != Scheme::S3 {
        return None;
    }
    let mut parts = Vec::new();
    if reach.origin == Origin::Nobody {
        parts.push("\"anon\": True".to_owned());
    }
    if let Some(profile) = profile(reach) {
        parts.push(format!("\"profile\": {}", quoted(profile)));
    }
    if let Some(endpoint) = &reach.endpoint {
        parts.push(format!("\"endpoint_url\": {}", quoted(endpoint)));
    }
    let mut client = Vec::new();
    if let Some(region) = &reach.region {
        client.push(format!("\"region_name\": {}", quoted(region)));
    }
    if let Some(ca) = &reach.ca {
        client.push(format!("\"verify\": {}", quoted(&ca.to_string_lossy())));
    }
    if !client.is_empty() {
        parts.push(format!("\"client_kwargs\": {{{}}}", client.join(", ")));
    }
    if reach.endpoint.is_some() && !reach.path_style {
        parts.push("\"config_kwargs\": {\"s3\": {\"addressing_style\": \"virtual\"}}".to_owned());
    }
    Some(call("{", &parts, "}"))
}

/// Arguments that a reader of fsspec takes: the path, and how it is reached.
fn with_storage(location: &Location, reach: &Reach, more: &[&str]) -> Vec<String> {
    let mut args = vec![quoted(&plain(location))];
    args.extend(more.iter().map(|m| (*m).to_owned()));
    args.extend(s3fs(location, reach).map(|options| format!("storage_options={}", options.replace('\n', "\n    "))));
    args
}

/// `boto3.Session(…).client("s3", …)`.
fn boto3_client(reach: &Reach) -> String {
    let session = profile(reach).map(|p| format!("profile_name={}", quoted(p))).unwrap_or_default();
    let mut args = vec!["\"s3\"".to_owned()];
    if let Some(endpoint) = &reach.endpoint {
        args.push(format!("endpoint_url={}", quoted(endpoint)));
    }
    if let Some(region) = &reach.region {
        args.push(format!("region_name={}", quoted(region)));
    }
    if let Some(ca) = &reach.ca {
        args.push(format!("verify={}", quoted(&ca.to_string_lossy())));
    }
    if reach.origin == Origin::Nobody {
        args.push("config=Config(signature_version=UNSIGNED)".to_owned());
    }
    format!("boto3.Session({session}).client({})", args.join(", "))
}

/// Parquet: with geometries, or as a plain table. Arrow's own file system knows profiles by the
/// environment alone. <https://arrow.apache.org/docs/python/generated/pyarrow.fs.S3FileSystem.html>
pub(super) fn parquet(location: &Location, reach: &Reach, geo: bool) -> Option<String> {
    let reader = |args: &str| {
        if geo {
            format!("gdf = geopandas.read_parquet({args})")
        } else {
            format!("table = pyarrow.parquet.read_table({args})")
        }
    };
    let import = if geo { "import geopandas" } else { "import pyarrow.parquet" };
    let path = match location.scheme() {
        Scheme::S3 => format!("{}/{}", location.bucket(), location.key()),
        Scheme::File => plain(location),
        Scheme::Http | Scheme::Https if geo => plain(location),
        _ => return None,
    };
    if location.scheme() != Scheme::S3 {
        return Some(format!("{import}\n\n{}", reader(&quoted(&path))));
    }
    let mut args = Vec::new();
    if reach.origin == Origin::Nobody {
        args.push("anonymous=True".to_owned());
    }
    if let Some((host, is_tls)) = reach.host() {
        args.push(format!("endpoint_override={}", quoted(host)));
        args.push(format!("scheme=\"{}\"", if is_tls { "https" } else { "http" }));
        if !reach.path_style {
            args.push("force_virtual_addressing=True".to_owned());
        }
    }
    args.push(format!("region={}", quoted(reach.region.as_deref().unwrap_or("us-east-1"))));
    if let Some(ca) = &reach.ca {
        args.push(format!("tls_ca_file_path={}", quoted(&ca.to_string_lossy())));
    }
    let (os, set) = match profile(reach) {
        Some(name) => ("import os\n\n", format!("os.environ[\"AWS_PROFILE\"] = {}\n", quoted(name))),
        None => ("", String::new()),
    };
    let read = reader(&format!("{}, filesystem=s3", quoted(&path)));
    Some(format!("{os}{import}\nfrom pyarrow import fs\n\n{set}s3 = {}\n{read}", call("fs.S3FileSystem(", &args, ")")))
}

/// CSV as a data frame.
pub(super) fn csv(location: &Location, reach: &Reach) -> Option<String> {
    let more: &[&str] = if location.extension() == "tsv" { &["sep=\"\\t\""] } else { &[] };
    let args = with_storage(location, reach, more);
    readable(location).then(|| format!("import pandas\n\n{}", call("df = pandas.read_csv(", &args, ")")))
}

fn readable(location: &Location) -> bool {
    !matches!(location.scheme(), Scheme::Memory | Scheme::Az)
}

/// Zarr through `s3fs`.
pub(super) fn zarr(location: &Location, reach: &Reach) -> Option<String> {
    let trimmed = location.with_key(location.key().trim_end_matches('/'));
    let args = with_storage(&trimmed, reach, &[]);
    readable(location).then(|| format!("import xarray\n\n{}", call("ds = xarray.open_zarr(", &args, ")")))
}

/// `NetCDF` and HDF5.
pub(super) fn hdf(location: &Location, reach: &Reach) -> Option<String> {
    if location.scheme() == Scheme::File {
        return Some(format!("import xarray\n\nds = xarray.open_dataset({})", quoted(&plain(location))));
    }
    let args = with_storage(location, reach, &["\"rb\""]);
    // fsspec takes the options themselves, not a dictionary of them.
    let args: Vec<String> =
        args.iter().map(|a| a.strip_prefix("storage_options=").map_or(a.clone(), |o| format!("**{o}"))).collect();
    readable(location).then(|| {
        format!(
            "import fsspec\nimport xarray\n\n{}\nds = xarray.open_dataset(file, engine=\"h5netcdf\")",
            call("file = fsspec.open(", &args, ").open()")
        )
    })
}

/// A raster through GDAL.
/// <https://rasterio.readthedocs.io/en/stable/api/rasterio.session.html#rasterio.session.AWSSession>
pub(super) fn raster(location: &Location, reach: &Reach) -> Option<String> {
    let path = quoted(&super::shell::gdal_path(location)?);
    if location.scheme() != Scheme::S3 {
        return Some(format!("import rasterio\n\nwith rasterio.open({path}) as src:\n    print(src.profile)"));
    }
    let mut session = Vec::new();
    if reach.origin == Origin::Nobody {
        session.push("aws_unsigned=True".to_owned());
    }
    if let Some(profile) = profile(reach) {
        session.push(format!("profile_name={}", quoted(profile)));
    }
    if let Some(region) = &reach.region {
        session.push(format!("region_name={}", quoted(region)));
    }
    let mut env = vec!["session".to_owned(), "GDAL_DISABLE_READDIR_ON_OPEN=\"EMPTY_DIR\"".to_owned()];
    if let Some((host, is_tls)) = reach.host() {
        session.push(format!("endpoint_url={}", quoted(host)));
        env.push(format!("AWS_VIRTUAL_HOSTING={}", if reach.path_style { "False" } else { "True" }));
        if !is_tls {
            env.push("AWS_HTTPS=\"NO\"".to_owned());
        }
    }
    if let Some(ca) = &reach.ca {
        env.push(format!("CURL_CA_BUNDLE={}", quoted(&ca.to_string_lossy())));
    }
    Some(format!(
        "import rasterio\nfrom rasterio.session import AWSSession\n\nsession = {}\nwith {}:\n    \
         with rasterio.open({path}) as src:\n        print(src.profile)",
        call("AWSSession(", &session, ")"),
        call("rasterio.Env(", &env, ")"),
    ))
}

/// How `pystac` reads from S3: it does not by itself.
fn stac_io(reach: &Reach) -> String {
    let unsigned = if reach.origin == Origin::Nobody {
        "from botocore import UNSIGNED\nfrom botocore.config import Config\n"
    } else {
        ""
    };
    format!(
        "import boto3\nimport pystac\n{unsigned}from pystac.stac_io import DefaultStacIO\n\n\n\
         class S3(DefaultStacIO):\n    client = {}\n\n    \
         def read_text_from_href(self, href):\n        \
         if not href.startswith(\"s3://\"):\n            return super().read_text_from_href(href)\n        \
         bucket, key = href[5:].split(\"/\", 1)\n        \
         return self.client.get_object(Bucket=bucket, Key=key)[\"Body\"].read().decode()\n\n\n",
        boto3_client(reach)
    )
}

/// Catalogs, collections and items.
pub(super) fn stac(location: &Location, reach: &Reach, is_item: bool) -> Option<String> {
    let name = if is_item { "item" } else { "catalog" };
    let path = quoted(&plain(location));
    match location.scheme() {
        Scheme::S3 => Some(format!("{}{name} = pystac.read_file({path}, stac_io=S3())", stac_io(reach))),
        Scheme::File | Scheme::Http | Scheme::Https => {
            Some(format!("import pystac\n\n{name} = pystac.read_file({path})"))
        }
        _ => None,
    }
}

/// The bands of an item as arrays.
pub(super) fn odc(location: &Location, reach: &Reach) -> Option<String> {
    let read = stac(location, reach, true)?;
    let mut settings = Vec::new();
    if location.scheme() == Scheme::S3 {
        if let Some(profile) = profile(reach) {
            settings.push(format!("profile={}", quoted(profile)));
        }
        if let Some((host, is_tls)) = reach.host() {
            settings.push(format!("AWS_S3_ENDPOINT={}", quoted(host)));
            settings.push(format!("AWS_VIRTUAL_HOSTING={}", if reach.path_style { "False" } else { "True" }));
            if !is_tls {
                settings.push("AWS_HTTPS=\"NO\"".to_owned());
            }
        }
        if reach.origin == Origin::Nobody {
            settings.push("aws_unsigned=True".to_owned());
        }
    }
    let configure = match settings.as_slice() {
        [] => String::new(),
        some => format!("{}\n", call("odc.stac.configure_rio(", some, ")")),
    };
    Some(format!("import odc.stac\n{read}\n{configure}ds = odc.stac.load([item], chunks={{}})"))
}

/// A search in an API: its root stands before `/collections`.
pub(super) fn client(location: &Location) -> Option<String> {
    let address = location.to_string();
    let (root, rest) = address.split_once("/collections")?;
    let collection = rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    let collections =
        if collection.is_empty() { String::new() } else { format!("collections=[{}], ", quoted(collection)) };
    Some(format!(
        "import pystac_client\n\nclient = pystac_client.Client.open({})\nitems = client.search({collections}max_items=10).item_collection()",
        quoted(root)
    ))
}
