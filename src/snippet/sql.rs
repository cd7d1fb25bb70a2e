//! SQL for `DuckDB`. <https://duckdb.org/docs/stable/core_extensions/httpfs/s3api>

use super::plain;
use super::quote::{sql, sql_path};
use crate::location::{Location, Scheme};
use crate::store::{Origin, Reach};

/// Reads a file with `function`; on S3 with a secret that names a profile and holds no key.
pub(super) fn select(function: &str, location: &Location, reach: &Reach) -> String {
    let path = if matches!(location.scheme(), Scheme::Http | Scheme::Https) {
        sql(&location.to_string())
    } else {
        sql_path(&plain(location))
    };
    let select = format!("SELECT * FROM {function}({path}) LIMIT 10;");
    match location.scheme() {
        Scheme::S3 => format!("{}\n{select}", secret(reach)),
        Scheme::Http | Scheme::Https => format!("INSTALL httpfs; LOAD httpfs;\n{select}"),
        _ => select,
    }
}

fn secret(reach: &Reach) -> String {
    let mut lines = vec!["INSTALL httpfs; LOAD httpfs;".to_owned()];
    let mut parts = vec!["TYPE s3".to_owned()];
    if reach.origin != Origin::Nobody {
        lines.push("INSTALL aws; LOAD aws;".to_owned());
        parts.push("PROVIDER credential_chain".to_owned());
        if let Some(profile) = super::python::profile(reach) {
            parts.push("CHAIN 'config'".to_owned());
            parts.push(format!("PROFILE {}", sql(profile)));
        }
    }
    if let Some(ca) = &reach.ca {
        lines.push(format!("SET ca_cert_file = {};", sql(&ca.to_string_lossy())));
    }
    if let Some((host, is_tls)) = reach.host() {
        parts.push(format!("ENDPOINT {}", sql(host)));
        parts.push(format!("USE_SSL {is_tls}"));
    }
    if reach.endpoint.is_some() {
        parts.push(format!("URL_STYLE '{}'", if reach.path_style { "path" } else { "vhost" }));
    }
    parts.push(format!("REGION {}", sql(reach.region.as_deref().unwrap_or("us-east-1"))));
    lines.push(format!("CREATE OR REPLACE SECRET (\n    {}\n);", parts.join(",\n    ")));
    lines.join("\n")
}
