//! Google Cloud Storage and Azure Blob Storage, set up by a place of the configuration and by their own
//! environment variables. Without credentials there, requests are sent unsigned, as public data wants them.
//!
//! The storage account of Azure: `account` of the place, else the name before the `@`
//! (`az://account@container/`), else the environment's.

use super::Options;
use super::log::Log;
use super::pulse::Waits;
use super::transport;
use crate::error::{Error, Kind, Result};
use crate::location::{Scheme, StoreId};
use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use std::sync::Arc;

/// Opens a bucket or container.
pub(super) fn open(options: &Options, id: &StoreId, waits: Waits, log: &Log) -> Result<Arc<dyn ObjectStore>> {
    let place = id.profile.as_ref().and_then(|name| options.places.get(name));
    let ca = options.ca_bundle.as_deref().or_else(|| place?.ca_bundle.as_deref());
    let client_options = transport::client_options(ca)?;
    let shared = transport::Shared(transport::client(&client_options, waits, log)?);
    if id.scheme == Scheme::Gs {
        let builder = google(options, id)
            .with_client_options(client_options)
            .with_http_connector(shared)
            .with_retry(transport::retry());
        return Ok(Arc::new(builder.build().map_err(|err| unusable(err, "Google"))?));
    }
    let builder = azure(options, id)?
        .with_client_options(client_options)
        .with_http_connector(shared)
        .with_retry(transport::retry());
    Ok(Arc::new(builder.build().map_err(|err| unusable(err, "Azure"))?))
}

/// Settings that do not make a client. Their text is the library's: it names variables, not values.
fn unusable(err: object_store::Error, whose: &str) -> Error {
    let why = super::errors::deepest(&err);
    Error::new(Kind::Usage, format!("the settings for {whose} cannot be used: {why}"))
        .with_hint("check the place, and the variables of the environment")
        .with_source(err)
}

/// Where data are read: the API's own address, or that of an emulator.
pub(super) fn endpoint(options: &Options, id: &StoreId) -> Result<String> {
    let set = |name: &str| options.environment.get(name);
    let place = id.profile.as_ref().and_then(|name| options.places.get(name));
    let own = place.and_then(|p| p.endpoint.clone());
    if id.scheme == Scheme::Gs {
        return Ok(own.or_else(|| set("GOOGLE_BASE_URL")).unwrap_or_else(|| "https://storage.googleapis.com".into()));
    }
    let said = own.or_else(|| set("AZURE_STORAGE_ENDPOINT")).or_else(|| part(options, "BlobEndpoint"));
    Ok(match said {
        Some(endpoint) => endpoint,
        None => format!("https://{}.blob.core.windows.net", account(options, id)?),
    })
}

/// Whether requests to Google can be signed.
fn has_google_keys(options: &Options) -> bool {
    let set = |name: &str| options.environment.get(name).is_some();
    ["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"].into_iter().any(set)
        || set("GOOGLE_APPLICATION_CREDENTIALS")
        || options
            .environment
            .home()
            .is_some_and(|home| home.join(".config/gcloud/application_default_credentials.json").is_file())
}

fn google(options: &Options, id: &StoreId) -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in options.environment.beginning_with("GOOGLE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let place = id.profile.as_ref().and_then(|name| options.places.get(name));
    if let Some(endpoint) = place.and_then(|p| p.endpoint.as_deref()) {
        builder = builder.with_base_url(endpoint);
    }
    let unsigned = options.no_sign_request || place.is_some_and(|p| p.anonymous) || !has_google_keys(options);
    builder.with_bucket_name(&id.authority).with_skip_signature(unsigned)
}

/// A part of `AZURE_STORAGE_CONNECTION_STRING`: `AccountName=x;AccountKey=y==;BlobEndpoint=…`.
fn part(options: &Options, name: &str) -> Option<String> {
    let whole = options.environment.get("AZURE_STORAGE_CONNECTION_STRING")?;
    let found = whole.split(';').filter_map(|p| p.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
}

/// The name of the storage account.
fn account(options: &Options, id: &StoreId) -> Result<String> {
    let named = id.profile.as_ref().map(|name| match options.places.get(name) {
        Some(place) => place.account.clone(),
        None => Some(name.clone()),
    });
    let set = |name: &str| options.environment.get(name);
    named
        .flatten()
        .or_else(|| set("AZURE_STORAGE_ACCOUNT_NAME"))
        .or_else(|| set("AZURE_STORAGE_ACCOUNT"))
        .or_else(|| part(options, "AccountName"))
        .ok_or_else(|| {
            Error::new(Kind::Usage, "az:// needs the name of a storage account")
                .with_hint("write az://account@container/, or set AZURE_STORAGE_ACCOUNT_NAME")
        })
}

fn azure(options: &Options, id: &StoreId) -> Result<MicrosoftAzureBuilder> {
    let account = account(options, id)?;
    let set = |name: &str| options.environment.get(name);
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in options.environment.beginning_with("AZURE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let key = part(options, "AccountKey").or_else(|| set("AZURE_STORAGE_KEY"));
    let sas = part(options, "SharedAccessSignature");
    let signs = ["ACCOUNT_KEY", "ACCESS_KEY", "MASTER_KEY", "SAS_KEY", "SAS_TOKEN", "TOKEN", "CLIENT_ID"]
        .iter()
        .any(|name| set(&format!("AZURE_STORAGE_{name}")).is_some())
        || ["AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USE_AZURE_CLI"].iter().any(|n| set(n).is_some());
    let known = signs || key.is_some() || sas.is_some();
    if let Some(key) = key {
        builder = builder.with_access_key(key);
    }
    if let Some(sas) = sas {
        builder = builder.with_config(AzureConfigKey::SasKey, sas);
    }
    let place = id.profile.as_ref().and_then(|name| options.places.get(name));
    if let Some(endpoint) = place.and_then(|p| p.endpoint.clone()).or_else(|| part(options, "BlobEndpoint")) {
        builder = builder.with_endpoint(endpoint);
    }
    let unsigned = options.no_sign_request || place.is_some_and(|p| p.anonymous) || !known;
    Ok(builder.with_account(account).with_container_name(&id.authority).with_skip_signature(unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::location::Location;
    use crate::store::Environment;

    fn options(variables: &[(&str, &str)], config: &str) -> Options {
        let all = variables.iter().copied().chain([("HOME", "/nonexistent")]);
        let places = Config::from_toml(config).expect(config).places;
        Options { environment: Environment::fixed(all), places, ..Options::default() }
    }

    fn id(text: &str) -> StoreId {
        Location::parse(text).expect(text).store().clone()
    }

    #[test]
    fn the_account_is_named_by_the_place_the_address_or_the_environment() {
        let none = options(&[], "");
        let place = options(&[], "[places.pc]\naddress = \"az://c/\"\naccount = \"planet\"\nanonymous = true\n");
        let string = "AccountName=conn;AccountKey=a2V5;EndpointSuffix=core.windows.net";
        let set = options(&[("AZURE_STORAGE_CONNECTION_STRING", string)], "");
        let is = |options: &Options, text: &str| account(options, &id(text)).ok();
        assert_eq!(is(&none, "az://lake@c/").as_deref(), Some("lake"));
        assert_eq!(is(&none, "abfss://c@lake.dfs.core.windows.net/x").as_deref(), Some("lake"));
        assert_eq!(is(&place, "az://pc@c/").as_deref(), Some("planet"));
        assert_eq!(is(&set, "az://c/").as_deref(), Some("conn"));
        let err = account(&none, &id("az://c/")).expect_err("no account");
        assert!(err.hint().is_some_and(|h| h.contains("az://account@container/")));
        assert_eq!(endpoint(&place, &id("az://pc@c/")).expect("its host"), "https://planet.blob.core.windows.net");
    }

    #[test]
    fn requests_are_signed_only_with_keys_and_never_for_the_anonymous() {
        let unsigned = |options: &Options, text: &str| {
            let builder = azure(options, &id(text)).expect(text);
            builder.get_config_value(&AzureConfigKey::SkipSignature).as_deref() == Some("true")
        };
        assert!(unsigned(&options(&[], ""), "az://lake@c/"));
        let string = ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=conn;SharedAccessSignature=sv=1&sig=a%3D");
        for variable in [("AZURE_STORAGE_KEY", "a2V5"), ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=x"), string] {
            let config = "[places.open]\naddress = \"az://c/\"\naccount = \"planet\"\nanonymous = true\n";
            let set = options(&[variable], config);
            assert!(!unsigned(&set, "az://lake@c/"), "{}", variable.0);
            assert!(unsigned(&set, "az://open@c/"), "{}", variable.0);
            open(&set, &id("az://lake@c/"), Waits::default(), &Log::default()).expect(variable.0);
        }
        let set =
            options(&[("GOOGLE_SERVICE_ACCOUNT_KEY", "{}")], "[places.g]\naddress = \"gs://b/\"\nanonymous = true\n");
        let skips = |options: &Options, text: &str| {
            google(options, &id(text)).get_config_value(&GoogleConfigKey::SkipSignature).as_deref() == Some("true")
        };
        assert!(skips(&options(&[], ""), "gs://b/") && skips(&set, "gs://g@b/") && !skips(&set, "gs://b/"));
        let bad = options(&[("GOOGLE_SERVICE_ACCOUNT_KEY", "not JSON")], "");
        let err = open(&bad, &id("gs://b/"), Waits::default(), &Log::default()).expect_err("no key");
        assert!(err.to_string().starts_with("the settings for Google cannot be used"), "{err}");
    }
}
