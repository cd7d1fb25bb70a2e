//! `presign`: links that work without credentials.

use super::out;
use crate::error::Result;
use crate::location::Location;
use crate::store::{Method, Stores, parse_expiry};
use clap::Args;
use serde_json::json;

/// Options of `presign`.
#[derive(Args, Debug)]
pub struct Presign {
    /// The objects.
    #[arg(required = true, value_name = "LOCATION", help = "The objects: s3://[profile@]bucket/key")]
    pub locations: Vec<String>,
    /// How long the link is valid, at most 7 days: 15min, 1h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub expires: String,
    /// A link to write the object, not to read it
    #[arg(long)]
    pub put: bool,
}

/// Signs links, one a line. Nothing is sent: whether an object is there is not asked.
pub(super) async fn run(stores: &Stores, args: Presign, json: bool) -> Result<()> {
    let valid = parse_expiry(&args.expires)?;
    let method = if args.put { Method::Put } else { Method::Get };
    for location in &args.locations {
        let location = Location::parse(location)?;
        let handle = out::about(stores.open(&location, stores.meter()).await, "signing a link to", &location)?;
        let link = handle.presign(method, location.key(), valid).await;
        let link = out::about(link, "signing a link to", &location)?;
        if json {
            out::json(&json!({
                "location": location,
                "url": link.url,
                "method": link.method.as_str(),
                "expires": link.expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            }))?;
            continue;
        }
        out::line(&link.url)?;
        if link.is_shortened {
            let end = link.expires.format("%Y-%m-%d %H:%M UTC");
            out::say(&format!("secchi: the link ends with the credentials that signed it, at {end}"));
        }
    }
    Ok(())
}
