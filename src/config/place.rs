//! A place of the user: an address with what is needed to reach it.
//!
//! ```toml
//! [places]
//! eodata = "s3://cdse@eodata/"            # an address under a name
//!
//! [places.allas]                          # a server: s3://allas@bucket/key works everywhere
//! endpoint = "https://a3s.fi"
//! region = "regionOne"
//! profile = "allas"                       # whose keys; its own name where ~/.aws has such a profile
//! read_only = true                        # refused for commands too
//! ```

use crate::error::{Context as _, Error, Result};
use crate::location::{Location, Scheme};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::path::PathBuf;

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// `host/bucket/key`
    Path,
    /// `bucket.host/key`
    Virtual,
}

impl Addressing {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        }
    }
}

/// One place of `config.toml`. Holds no secret: keys live in `~/.aws/credentials`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where it starts; `None` is the list of its buckets.
    pub address: Option<String>,
    /// The template that it was made from.
    pub template: Option<String>,
    /// Its S3 endpoint; `None` is that of the profile, else Amazon.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// `None`: as the profile says, else path-style for custom endpoints.
    pub addressing: Option<Addressing>,
    /// Requests are sent unsigned.
    pub anonymous: bool,
    /// The profile whose credentials are used; `None` is that of the place's own name, else the environment.
    pub profile: Option<String>,
    /// The storage account, for Azure.
    pub account: Option<String>,
    /// A PEM file of certificates to trust besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// `None`: locked on the screen until the user unlocks it; `Some(true)`: refused for commands too;
    /// `Some(false)`: may be written to.
    pub read_only: Option<bool>,
    /// Words of the user.
    pub note: Option<String>,
    /// It stands in the file as a table, and not as an address alone.
    pub is_table: bool,
}

/// The table as it is read; see [`Place`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: Option<String>,
    template: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    addressing: Option<Addressing>,
    #[serde(default)]
    anonymous: bool,
    profile: Option<String>,
    account: Option<String>,
    ca_bundle: Option<PathBuf>,
    read_only: Option<bool>,
    note: Option<String>,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Place;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or a table with address, endpoint, …")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Place, E> {
                Ok(Place { address: Some(text.to_owned()), ..Place::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Place, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Place {
                    address: table.address,
                    template: table.template,
                    endpoint: table.endpoint,
                    region: table.region,
                    addressing: table.addressing,
                    anonymous: table.anonymous,
                    profile: table.profile,
                    account: table.account,
                    ca_bundle: table.ca_bundle,
                    read_only: table.read_only,
                    note: table.note,
                    is_table: true,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Place {
    /// Whether it needs a table, or is an address alone.
    pub fn needs_table(&self) -> bool {
        let bare = Self { address: self.address.clone(), is_table: self.is_table, ..Self::default() };
        self.address.is_none() || *self != bare
    }

    /// The address as it was written, or the list of buckets.
    fn start(&self) -> Result<Location> {
        Location::parse(self.address.as_deref().unwrap_or("s3://"))
    }

    /// The kind of store it leads to.
    pub fn scheme(&self) -> Scheme {
        // The beginning of an address, as a template has it, is none yet.
        let web = || self.address.as_deref().is_some_and(|a| a.starts_with("http"));
        self.start().map_or_else(|_| if web() { Scheme::Https } else { Scheme::S3 }, |l| l.scheme())
    }

    /// Whether its name stands for it before a bucket: `s3://name@bucket/`. An address under a name is
    /// an alias, and a web address or a folder has no account.
    pub fn is_account(&self) -> bool {
        self.is_table && matches!(self.scheme(), Scheme::S3 | Scheme::Gs | Scheme::Az)
    }

    /// Where it is opened.
    pub fn location(&self, name: &str) -> Result<Location> {
        let start = self.start()?;
        if self.is_account() && start.profile().is_none() {
            return Ok(Location::new(start.scheme(), Some(name.to_owned()), start.bucket(), start.key()));
        }
        Ok(start)
    }

    /// Says what is wrong with it, as `[places.name]`.
    pub fn check(&self, name: &str) -> Result<()> {
        let whole = || format!("[places] {name}");
        let start = self.start().context(whole)?;
        if !self.is_table {
            return Ok(());
        }
        check_name(name).context(whole)?;
        let wrong = |words: &str| Err(Error::usage(words).context(whole()));
        if self.is_account() {
            if start.profile().is_some_and(|p| p != name) {
                return wrong("its address names another profile: write `profile = …` instead");
            }
            if self.anonymous && self.profile.is_some() {
                return wrong("`anonymous` and `profile` exclude each other");
            }
        } else if self.read_only.is_some() {
            // A lock that would not hold must not be promised.
            return wrong("`read_only` is for s3://, gs:// and az:// places");
        }
        if self.endpoint.as_deref().is_some_and(|e| check_endpoint(e).is_err()) {
            check_endpoint(self.endpoint.as_deref().unwrap_or_default()).context(whole)?;
        }
        Ok(())
    }
}

/// A name that can stand in `s3://name@bucket/` and as a heading of the AWS files.
pub(super) fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(Error::usage(format!("`{name}` is no name for a place"))
            .with_hint("use letters, digits, dashes, dots and underscores"));
    }
    Ok(())
}

/// `https://host[:port]`, or without a scheme.
fn check_endpoint(endpoint: &str) -> Result<()> {
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let host = host.trim_end_matches('/');
    if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains([' ', '@', '?', '#']) {
        return Err(Error::usage(format!("`{endpoint}` is no endpoint"))
            .with_hint("write it as https://host or http://host:port"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn places(text: &str) -> Config {
        Config::from_toml(text).expect(text)
    }

    #[test]
    fn an_address_and_a_table_stand_beside_each_other() {
        let config = places(
            "[places]\neodata = \"s3://cdse@eodata/\"\n[places.allas]\nendpoint = \"https://a3s.fi\"\nregion = \"regionOne\"\n\
             addressing = \"path\"\nread_only = true\n[places.dem]\naddress = \"s3://copernicus-dem-30m/\"\nanonymous = true\n\
             [places.data]\naddress = \"/data/\"\nnote = \"mine\"\n",
        );
        let opened = |name: &str| config.places[name].location(name).expect(name).to_string();
        assert_eq!(opened("eodata"), "s3://cdse@eodata/");
        assert_eq!(opened("allas"), "s3://allas@");
        assert_eq!(opened("dem"), "s3://dem@copernicus-dem-30m/");
        assert_eq!(opened("data"), "/data/");
        assert!(config.places["allas"].is_account() && !config.places["eodata"].is_account());
        assert_eq!(config.places["allas"].read_only, Some(true));
        assert!(!config.places["eodata"].needs_table() && config.places["dem"].needs_table());
    }

    #[test]
    fn what_cannot_be_is_said_with_the_name_of_the_place() {
        for (text, word) in [
            ("[places]\nx = \"ftp://h/\"", "ftp"),
            ("[places.x]\nendpiont = \"https://h\"", "endpiont"),
            ("[places.x]\nendpoint = \"https://\"", "no endpoint"),
            ("[places.x]\naddress = \"s3://y@b/\"", "another profile"),
            ("[places.x]\naddress = \"/data/\"\nread_only = true", "read_only"),
            ("[places.x]\nanonymous = true\nprofile = \"p\"", "exclude"),
            ("[places.\"a b\"]\nregion = \"r\"", "no name"),
            ("[places]\nx = 3", "an address, or a table"),
        ] {
            let err = Config::from_toml(text).expect_err(text);
            assert!(err.to_string().contains(word), "{text}: {err}");
        }
    }
}
