//! Google Cloud Storage and Azure Blob Storage, set up by their own environment variables.
//! Without credentials there, requests are sent unsigned, as public data wants them.

use super::Options;
use super::log::Log;
use super::transport;
use crate::error::{Error, Kind, Result};
use crate::location::{Scheme, StoreId};
use object_store::ObjectStore;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use std::sync::Arc;

/// Opens a bucket or container.
pub(super) fn open(options: &Options, id: &StoreId, log: &Log) -> Result<Arc<dyn ObjectStore>> {
    let client_options = transport::client_options(options.ca_bundle.as_deref())?;
    let shared = transport::Shared(transport::client(&client_options, log)?);
    let set = |names: &[&str]| names.iter().any(|name| options.environment.get(name).is_some());
    if id.scheme == Scheme::Gs {
        let known = set(&["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"])
            || set(&["GOOGLE_APPLICATION_CREDENTIALS"])
            || options
                .environment
                .home()
                .is_some_and(|home| home.join(".config/gcloud/application_default_credentials.json").is_file());
        let builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(&id.authority)
            .with_client_options(client_options)
            .with_http_connector(shared)
            .with_retry(transport::retry())
            .with_skip_signature(options.no_sign_request || !known);
        return Ok(Arc::new(builder.build().map_err(Error::from)?));
    }
    if !set(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"]) {
        return Err(Error::new(Kind::Usage, "az:// needs the name of a storage account")
            .with_hint("set AZURE_STORAGE_ACCOUNT_NAME, and its key or token where the data are not public"));
    }
    let known = set(&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_TOKEN", "AZURE_CLIENT_ID"]);
    let builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(&id.authority)
        .with_client_options(client_options)
        .with_http_connector(shared)
        .with_retry(transport::retry())
        .with_skip_signature(options.no_sign_request || !known);
    Ok(Arc::new(builder.build().map_err(Error::from)?))
}
