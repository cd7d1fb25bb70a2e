//! Places of the configuration as the stores see them: `s3://name@bucket/` leads to a place before it
//! leads to a profile of that name, and a place that ships comes last.

use super::metered::Lock;
use super::profiles::{Origin, Profile, Profiles};
use super::{Options, Stores};
use crate::config::Place;
use crate::error::{Error, Kind};
use crate::location::{Scheme, StoreId};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// The place of this name, where it stands for an account.
pub(super) fn named(options: &Options, profiles: &Profiles, name: &str) -> Option<Place> {
    let configured = options.places.get(name).filter(|p| p.is_account()).cloned();
    configured.or_else(|| Place::built_in(name).filter(|_| !profiles.has(name)))
}

/// The profiles that a location may name. A place stands in front of the profile whose name it has.
pub(super) fn profiles(options: &Options) -> Vec<Profile> {
    let found = Profiles::load(&options.environment);
    let of_place = |(name, place): (&String, &Place)| {
        let used = place.profile.clone().or_else(|| found.has(name).then(|| name.clone()));
        let listed = used.as_ref().and_then(|used| found.list().into_iter().find(|p| p.name == *used));
        Profile {
            name: name.clone(),
            endpoint: place.endpoint.clone().or_else(|| listed.as_ref()?.endpoint.clone()),
            region: place.region.clone().or_else(|| listed.as_ref()?.region.clone()),
            origin: Origin::Place,
            credentials: match used {
                _ if place.anonymous => "anonymous: requests are unsigned".to_owned(),
                Some(used) if found.has(&used) => found.credentials(&used),
                Some(used) => format!("profile {used}, which is not there"),
                None => "the environment".to_owned(),
            },
        }
    };
    let is_s3 = |(_, place): &(&String, &Place)| place.is_account() && place.scheme() == Scheme::S3;
    let places: Vec<Profile> = options.places.iter().filter(is_s3).map(of_place).collect();
    let rest = found.list().into_iter().filter(|p| !places.iter().any(|place| place.name == p.name));
    places.iter().cloned().chain(rest).collect()
}

/// The sentence for a place that has no keys at all.
pub(super) fn no_keys(name: &str) -> Error {
    Error::new(Kind::Denied, format!("the place `{name}` has no keys, and the environment holds none"))
        .with_hint("edit it on Places to type keys or choose a profile, or make it anonymous for public data")
}

impl Stores {
    /// The places of the configuration, in place of those before. Clients and credentials are forgotten.
    pub fn set_places(&self, places: BTreeMap<String, Place>) {
        *self.0.places.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(places);
        self.forget();
    }

    /// The options with the places as they are now.
    pub(super) fn options_now(&self) -> Options {
        let places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Options { places: (*places).clone(), ..self.0.options.clone() }
    }

    /// What the place of a store says of writing to it; `None` where it is in no place, or says nothing.
    pub fn lock(&self, id: &StoreId) -> Option<bool> {
        let name = id.profile.as_ref().or(self.0.options.profile.as_ref())?;
        let places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let place = places.get(name).filter(|p| p.is_account() && p.scheme() == id.scheme)?;
        place.read_only
    }

    /// Whether writing is refused here: by the program's start, or by a place that the user has not unlocked.
    pub fn is_read_only(&self, id: &StoreId) -> bool {
        self.lock_now(id) != Lock::Open
    }

    /// The same with who refuses it.
    pub(super) fn lock_now(&self, id: &StoreId) -> Lock {
        if self.0.options.read_only {
            return Lock::Program;
        }
        if self.lock(id) != Some(true) {
            return Lock::Open;
        }
        let unlocked = self.0.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        let account = StoreId { authority: String::new(), ..id.clone() };
        if unlocked.contains(id) || unlocked.contains(&account) { Lock::Open } else { Lock::Place }
    }

    /// Lets a read-only place be written to for this session, or locks it again. An id without a bucket
    /// stands for all of the place.
    pub fn unlock(&self, id: &StoreId, on: bool) {
        let mut unlocked = self.0.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            unlocked.insert(id.clone());
        } else {
            unlocked.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::location::Location;
    use crate::store::{Environment, UploadMeta, credentials};

    fn options(files: &[(&str, &str)], config: &str) -> (tempfile::TempDir, Options) {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join(".aws")).expect("a folder");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        let environment = Environment::fixed([
            ("HOME", dir.path().to_string_lossy().into_owned()),
            ("AWS_ENDPOINT_URL", "http://elsewhere:1".to_owned()),
        ]);
        let places = Config::from_toml(config).expect(config).places;
        (dir, Options { places, environment, ..Options::default() })
    }

    const KEYS: (&str, &str) =
        (".aws/credentials", "[allas]\naws_access_key_id = AKIAABCDEFGHIJ\naws_secret_access_key = top-secret\n");
    const CONFIG: &str = "[places.allas]\nendpoint = \"https://a3s.fi\"\nregion = \"regionOne\"\nread_only = true\n\
                          [places.lab]\nendpoint = \"lab:7480\"\naddressing = \"virtual\"\nprofile = \"allas\"\n\
                          [places.dem]\naddress = \"s3://copernicus-dem-30m/\"\nanonymous = true\n\
                          [places.bare]\nendpoint = \"http://h:1\"\n[places.gone]\nprofile = \"nobody\"\n";

    #[test]
    fn a_place_goes_before_the_profile_of_its_name_and_uses_its_keys() {
        let (_dir, options) = options(&[KEYS], CONFIG);
        let allas = credentials::access(&options, Some("allas")).expect("allas");
        assert_eq!((allas.endpoint.as_deref(), allas.region.as_deref()), (Some("https://a3s.fi"), Some("regionOne")));
        assert!(allas.source.is_some() && allas.path_style());
        let lab = credentials::access(&options, Some("lab")).expect("lab");
        assert_eq!((lab.endpoint.as_deref(), lab.path_style()), (Some("https://lab:7480"), false));
        assert_eq!(lab.profile.as_deref(), Some("allas"));
        let dem = credentials::access(&options, Some("dem")).expect("dem");
        assert!(dem.source.is_none() && dem.endpoint.is_none(), "Amazon, unsigned, whatever the environment says");
        let open = credentials::access(&options, Some("aws-open")).expect("ships");
        assert!(open.source.is_none() && open.endpoint.is_none());
        let bare = credentials::access(&options, Some("bare")).expect_err("no keys");
        assert!(bare.to_string().contains("`bare` has no keys"), "{bare}");
        let gone = credentials::access(&options, Some("gone")).expect_err("no profile");
        assert_eq!(gone.kind(), Kind::NotFound);
        let shown: Vec<String> =
            profiles(&options).into_iter().map(|p| format!("{} {:?} {}", p.name, p.origin, p.credentials)).collect();
        assert_eq!(
            shown,
            [
                "allas Place key AKIA…IJ of profile allas",
                "bare Place the environment",
                "dem Place anonymous: requests are unsigned",
                "gone Place profile nobody, which is not there",
                "lab Place key AKIA…IJ of profile allas",
            ]
        );
    }

    #[tokio::test]
    async fn a_read_only_place_refuses_until_it_is_unlocked() {
        let (_dir, options) = options(&[KEYS], CONFIG);
        let stores = Stores::new(options);
        let at = Location::parse("s3://allas@b/k").expect("an address");
        let account = Location::parse("s3://allas@").expect("an address");
        let put = async || {
            let handle = stores.open(&at, stores.meter()).await.expect("opens");
            handle.create_upload("k", &UploadMeta::default()).await.err().map(|e| e.kind())
        };
        let refused = put().await;
        assert_eq!(refused, Some(Kind::Denied));
        assert_eq!(stores.lock(at.store()), Some(true));
        stores.unlock(account.store(), true);
        assert!(!stores.is_read_only(at.store()));
        stores.unlock(account.store(), false);
        assert!(stores.is_read_only(at.store()));
        assert!(!stores.is_read_only(Location::parse("s3://lab@b/k").expect("an address").store()));
    }
}
