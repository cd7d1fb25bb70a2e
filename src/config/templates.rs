//! What ships in `assets/places.toml`: templates to add a place from, and public data to open.

use super::place::{Addressing, Place};
use crate::error::{Context as _, Error, Result};
use crate::location::Location;
use serde::Deserialize;

/// The file.
const SHIPPED: &str = include_str!("../../assets/places.toml");

/// Amazon without credentials, for every public bucket: `s3://aws-open@bucket/`. A place, a profile of
/// the user by this name goes before it.
const AWS_OPEN: &str = "aws-open";

/// All that ships.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipped {
    /// To add a place from.
    #[serde(rename = "template")]
    pub templates: Vec<Template>,
    /// To be opened as it is.
    pub ready: Vec<Ready>,
}

/// What a kind of place looks like before a user's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    /// By which a place remembers it.
    pub id: String,
    /// In the list.
    pub title: String,
    /// What it is, in a few words.
    pub about: String,
    /// What a user must have, and where it is got.
    pub needs: String,
    /// Proposed for the place.
    pub name: String,
    /// Where it starts; its scheme decides which fields the form has.
    pub address: String,
    /// `Some("")`: the user must say one.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// How buckets are named in requests.
    pub addressing: Option<Addressing>,
    /// Without credentials.
    pub anonymous: bool,
    /// `Some("")`: the user must say one.
    pub account: Option<String>,
}

/// Public data that need nothing to be set up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// In the list.
    pub title: String,
    /// What they are, in a few words.
    pub about: String,
    /// Where they are.
    pub address: Location,
}

impl Shipped {
    /// Reads what ships.
    pub fn load() -> Result<Self> {
        toml::from_str(SHIPPED).map_err(|e| Error::usage(e.message())).context(|| "assets/places.toml".to_owned())
    }
}

impl Template {
    /// A place as the template has it.
    pub fn place(&self) -> Place {
        let filled = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        Place {
            address: Some(self.address.clone()),
            template: Some(self.id.clone()),
            endpoint: filled(&self.endpoint),
            region: filled(&self.region),
            addressing: self.addressing,
            anonymous: self.anonymous,
            account: filled(&self.account),
            is_table: true,
            ..Place::default()
        }
    }
}

impl Place {
    /// A place that is there without being configured, by its name.
    pub fn built_in(name: &str) -> Option<Self> {
        (name == AWS_OPEN).then(|| Self {
            template: Some(AWS_OPEN.to_owned()),
            anonymous: true,
            is_table: true,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Scheme;

    #[test]
    fn all_that_ships_can_be_read_and_says_what_it_needs() {
        let shipped = Shipped::load().expect("the file");
        let mut ids = std::collections::BTreeSet::new();
        for template in &shipped.templates {
            assert!(ids.insert(&template.id), "{} stands there twice", template.id);
            assert!(!template.needs.is_empty() && !template.about.is_empty(), "{}", template.id);
            super::super::place::check_name(&template.name).expect("a name");
            if template.address != "https://" {
                template.place().check(&template.name).expect("a place");
            }
        }
        for id in ["allas", "cdse", "islet-central", "islet-lumi", "aws-open", "azure", "gcs", "minio", "stac"] {
            assert!(ids.contains(&id.to_owned()), "{id}");
        }
        for ready in &shipped.ready {
            if ready.address.scheme() == Scheme::S3 {
                let name = ready.address.profile().expect("public data are opened without credentials");
                assert!(Place::built_in(name).is_some_and(|p| p.anonymous), "{name}");
            }
        }
    }
}
