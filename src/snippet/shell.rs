//! Command lines of other tools.

use super::plain;
use super::python::profile;
use super::quote::shell;
use crate::location::{Location, Scheme};
use crate::store::{Method, Origin, Reach};

/// The path under which GDAL knows it. <https://gdal.org/en/stable/user/virtual_file_systems.html>
pub(super) fn gdal_path(location: &Location) -> Option<String> {
    let (bucket, key) = (location.bucket(), location.key().trim_end_matches('/'));
    match location.scheme() {
        Scheme::S3 | Scheme::Gs | Scheme::Az if bucket.is_empty() => None,
        Scheme::S3 => Some(format!("/vsis3/{bucket}/{key}")),
        Scheme::Gs => Some(format!("/vsigs/{bucket}/{key}")),
        Scheme::Az => Some(format!("/vsiaz/{bucket}/{key}")),
        Scheme::Http | Scheme::Https => Some(format!("/vsicurl/{location}")),
        Scheme::File => Some(plain(location)),
        Scheme::Memory => None,
    }
}

/// `gdalinfo` with the variables that `/vsis3/` needs to reach the place.
pub(super) fn gdalinfo(location: &Location, reach: &Reach, is_zarr: bool) -> Option<String> {
    let path = gdal_path(location)?;
    let mut words = Vec::new();
    if location.scheme() == Scheme::S3 {
        if reach.origin == Origin::Nobody {
            words.push("AWS_NO_SIGN_REQUEST=YES".to_owned());
        }
        if let Some(profile) = profile(reach) {
            words.push(format!("AWS_PROFILE={}", shell(profile)));
        }
        if let Some(region) = &reach.region {
            words.push(format!("AWS_REGION={}", shell(region)));
        }
        if let Some((host, is_tls)) = reach.host() {
            words.push(format!("AWS_S3_ENDPOINT={}", shell(host)));
            if !is_tls {
                words.push("AWS_HTTPS=NO".to_owned());
            }
            words.push(format!("AWS_VIRTUAL_HOSTING={}", if reach.path_style { "FALSE" } else { "TRUE" }));
        }
        if let Some(ca) = &reach.ca {
            words.push(format!("CURL_CA_BUNDLE={}", shell(&ca.to_string_lossy())));
        }
    }
    if is_zarr {
        words.push("gdalmdiminfo".to_owned());
        words.push(shell(&format!("ZARR:\"{path}\"")));
    } else {
        words.push("GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR".to_owned());
        words.push("gdalinfo".to_owned());
        words.push(shell(&path));
    }
    Some(words.join(" "))
}

/// The file that a download is written to: never an option, never another folder.
fn file_name(location: &Location) -> String {
    let name = location.name().trim_end_matches('/');
    let name = if matches!(name, "" | "." | "..") { "object" } else { name };
    shell(&format!("./{name}"))
}

/// curl must send the path as it is: it takes `..` out of it otherwise.
pub(super) fn curl(url: &str, location: &Location, method: Method) -> String {
    match method {
        Method::Get => format!("curl -f --path-as-is -o {} {}", file_name(location), shell(url)),
        // With `-T`, curl adds the file's name to a path whose last part it takes for a folder.
        Method::Put if matches!(location.name(), "." | "..") => {
            format!("curl -f --path-as-is -X PUT --data-binary @{} {}", file_name(location), shell(url))
        }
        Method::Put => format!("curl -f --path-as-is -T {} {}", file_name(location), shell(url)),
    }
}

/// The AWS command line.
pub(super) fn aws(location: &Location, reach: &Reach) -> Option<String> {
    if location.scheme() != Scheme::S3 || location.is_account() {
        return None;
    }
    let is_folder = location.is_container();
    let target = if is_folder { ".".to_owned() } else { file_name(location) };
    let mut words = vec!["aws s3 cp".to_owned(), shell(&plain(location)), target];
    if is_folder {
        words.push("--recursive".to_owned());
    }
    if reach.origin == Origin::Nobody {
        words.push("--no-sign-request".to_owned());
    }
    if let Some(profile) = profile(reach) {
        words.push(format!("--profile {}", shell(profile)));
    }
    if let Some(endpoint) = &reach.endpoint {
        words.push(format!("--endpoint-url {}", shell(endpoint)));
    }
    if let Some(region) = &reach.region {
        words.push(format!("--region {}", shell(region)));
    }
    if let Some(ca) = &reach.ca {
        words.push(format!("--ca-bundle {}", shell(&ca.to_string_lossy())));
    }
    Some(words.join(" "))
}

/// rclone, with a remote that is not configured but described.
/// <https://rclone.org/docs/#connection-strings>
pub(super) fn rclone(location: &Location, reach: &Reach) -> Option<String> {
    if location.scheme() != Scheme::S3 || location.is_account() {
        return None;
    }
    let value = |v: &str| format!("\"{}\"", v.replace('"', "\"\""));
    let mut remote = format!(":s3,provider={}", if reach.endpoint.is_some() { "Other" } else { "AWS" });
    if reach.origin != Origin::Nobody {
        remote.push_str(",env_auth=true");
    }
    if let Some(profile) = profile(reach) {
        remote.extend([format!(",profile={}", value(profile))]);
    }
    if let Some(endpoint) = &reach.endpoint {
        remote.extend([format!(",endpoint={}", value(endpoint))]);
        if !reach.path_style {
            remote.push_str(",force_path_style=false");
        }
    }
    if let Some(region) = &reach.region {
        remote.extend([format!(",region={}", value(region))]);
    }
    let remote = format!("{remote}:{}/{}", location.bucket(), location.key());
    let ca = reach.ca.as_ref().map(|ca| format!(" --ca-cert {}", shell(&ca.to_string_lossy()))).unwrap_or_default();
    Some(if location.is_container() {
        format!("rclone copy {} .{ca}", shell(&remote))
    } else {
        format!("rclone copyto {} {}{ca}", shell(&remote), file_name(location))
    })
}
