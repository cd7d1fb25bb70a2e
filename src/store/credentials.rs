//! Who asks: profiles, environment, roles, single sign-on, or nobody. The one place where
//! credentials are found; `Debug` of what is here never shows them.

use super::environment::Environment;
use super::errors;
use super::places;
pub use super::profiles::{Origin, Profile};
use super::profiles::{Profiles, aws_file};
use crate::config::{Addressing, Place};
use crate::error::{Error, Kind, Result};
use crate::store::Options;
use async_trait::async_trait;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;

use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::config::{Region, SharedHttpClient};
use object_store::aws::AwsCredential;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Temporary credentials are renewed this long before they end.
const RENEW: Duration = Duration::from_mins(5);

/// Those that end sooner are not asked for with each request, but so often, and used until then.
const ASK_AGAIN: Duration = Duration::from_secs(20);
const LAST: Duration = Duration::from_secs(5);

/// How to go without credentials, said wherever they are missing.
pub(super) const ANONYMOUS_HINT: &str =
    "name a profile (s3://profile@bucket/), or open public data with --no-sign-request";

/// The profiles of this user, in the order of their names. Reads three small files.
pub fn profiles() -> Vec<Profile> {
    profiles_in(&Environment::default())
}

/// The profiles that this environment leads to.
pub fn profiles_in(environment: &Environment) -> Vec<Profile> {
    Profiles::load(environment).list()
}

/// Whether the AWS files hold this profile: other tools read no others.
pub(super) fn is_aws_profile(environment: &Environment, name: &str) -> bool {
    Profiles::load(environment).has_aws(name)
}

/// Everything that a client for one profile needs to know.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// The profile whose credentials are used, where one is.
    pub(super) profile: Option<String>,
    /// `None` is Amazon.
    pub(super) endpoint: Option<String>,
    /// `None`: nobody said one.
    pub(super) region: Option<String>,
    /// `None`: path-style for custom endpoints.
    pub(super) path_style: Option<bool>,
    /// PEM file of certificates to trust besides the system's.
    pub(super) ca: Option<PathBuf>,
    /// How the credentials are got; `None` sends requests unsigned.
    pub(super) source: Option<Source>,
}

impl Access {
    /// To a server of the program itself.
    pub(super) fn given(given: &super::Given) -> Self {
        Self {
            profile: None,
            endpoint: Some(given.endpoint.clone()),
            region: Some(given.region.clone()),
            path_style: Some(true),
            ca: None,
            source: Some(Source::Keys(Credentials::new(&*given.access_key, &*given.secret_key, None, None, "given"))),
        }
    }

    /// Whether the bucket stands in the path (`host/bucket/key`) and not in the host's name.
    pub(super) fn path_style(&self) -> bool {
        self.path_style.unwrap_or(self.endpoint.is_some())
    }
}

/// Where credentials come from.
#[derive(Clone)]
pub(super) enum Source {
    /// Plain keys.
    Keys(Credentials),
    /// A profile that `aws-config` has to work out: roles, single sign-on, a process.
    Profile(String, EnvConfigFiles),
    /// The variables of the environment that name a role or a container's endpoint.
    Surroundings { machine: bool },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keys(_) => "Keys",
            Self::Profile(..) => "Profile",
            Self::Surroundings { .. } => "Surroundings",
        })
    }
}

/// Finds out what `named` (a profile of the location or of the command line) means.
pub(super) fn access(options: &Options, named: Option<&str>) -> Result<Access> {
    let environment = &options.environment;
    let profiles = Profiles::load(environment);
    let explicit = named.or(options.profile.as_deref()).map(str::to_owned);
    let place = explicit.as_deref().and_then(|name| places::named(options, &profiles, name));
    let mut access = match &explicit {
        Some(name) if let Some(place) = &place => place_access(environment, &profiles, name, place)?,
        Some(name) if profiles.has_aws(name) => aws_access(environment, &profiles, name, true),
        Some(name) => s3cfg_access(&profiles, name).ok_or_else(|| unknown_profile(name, &profiles))?,
        None => default_access(environment, &profiles)?,
    };
    access.endpoint = options.endpoint_url.clone().or(access.endpoint).map(|e| with_scheme(&e));
    access.region = options.region.clone().or(access.region);
    access.ca = options.ca_bundle.clone().or(access.ca);
    access.path_style = options.path_style.or(access.path_style);
    if options.no_sign_request {
        access.source = None;
    } else if access.source.is_none() && !place.as_ref().is_some_and(|p| p.anonymous) {
        return Err(match (&place, explicit.as_deref()) {
            (Some(place), Some(name)) if place.profile.is_none() && !profiles.has(name) => places::no_keys(name),
            (place, name) => no_credentials(place.as_ref().and_then(|p| p.profile.as_deref()).or(name), &profiles),
        });
    }
    Ok(access)
}

/// `host:port` without a scheme is taken as TLS, as everywhere else.
fn with_scheme(endpoint: &str) -> String {
    if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") }
}

/// A profile of the AWS files. Named by the user (`chosen`) it goes before the environment, because
/// an endpoint and its credentials belong together; else the environment goes first.
fn aws_access(environment: &Environment, profiles: &Profiles, name: &str, chosen: bool) -> Access {
    let first = |profile: Option<String>, variable: Option<String>| {
        if chosen { profile.or(variable) } else { variable.or(profile) }
    };
    let ignored = environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|v| v == "true");
    let endpoint = first(
        profiles.endpoint(name),
        environment.get("AWS_ENDPOINT_URL_S3").or_else(|| environment.get("AWS_ENDPOINT_URL")),
    );
    Access {
        profile: Some(name.to_owned()),
        region: first(
            profiles.aws(name, "region").map(str::to_owned),
            environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION")),
        ),
        path_style: match profiles.aws(name, "s3.addressing_style") {
            Some("path") => Some(true),
            Some("virtual") => Some(false),
            _ => None,
        },
        endpoint: endpoint.filter(|_| !ignored),
        ca: first(profiles.aws(name, "ca_bundle").map(str::to_owned), environment.get("AWS_CA_BUNDLE"))
            .map(PathBuf::from),
        source: profile_source(environment, profiles, name),
    }
}

fn profile_source(environment: &Environment, profiles: &Profiles, name: &str) -> Option<Source> {
    if !profiles.has_aws(name) {
        return None;
    }
    let text = |key: &str| profiles.aws(name, key).map(str::to_owned);
    if text("role_arn").is_none()
        && let (Some(key), Some(secret)) = (text("aws_access_key_id"), text("aws_secret_access_key"))
    {
        return Some(Source::Keys(Credentials::new(key, secret, text("aws_session_token"), None, "profile")));
    }
    let delegated = ["role_arn", "sso_session", "sso_start_url", "credential_process", "login_session"];
    if !delegated.iter().any(|key| text(key).is_some()) {
        return None;
    }
    // A file that is named must be there: of who logs in or takes a role, there is often but one.
    let there = |variable, name| aws_file(environment, variable, name).filter(|path| path.is_file());
    let mut files = EnvConfigFiles::builder();
    if let Some(path) = there("AWS_CONFIG_FILE", "config") {
        files = files.with_file(EnvConfigFileKind::Config, path);
    }
    if let Some(path) = there("AWS_SHARED_CREDENTIALS_FILE", "credentials") {
        files = files.with_file(EnvConfigFileKind::Credentials, path);
    }
    Some(Source::Profile(name.to_owned(), files.build()))
}

/// A place of the user: its own words go before those of the profile whose credentials it uses.
fn place_access(environment: &Environment, profiles: &Profiles, name: &str, place: &Place) -> Result<Access> {
    let blank = || Access { profile: None, endpoint: None, region: None, path_style: None, ca: None, source: None };
    let used = place.profile.as_deref().or_else(|| profiles.has(name).then_some(name));
    let mut access = match used {
        _ if place.anonymous => blank(),
        Some(used) if profiles.has_aws(used) => aws_access(environment, profiles, used, true),
        Some(used) => s3cfg_access(profiles, used).ok_or_else(|| unknown_profile(used, profiles))?,
        // Only the credentials: an endpoint of the environment is another place.
        None => {
            let default = default_access(environment, profiles)?;
            Access { profile: default.profile, ca: default.ca, source: default.source, ..blank() }
        }
    };
    access.endpoint = place.endpoint.clone().or(access.endpoint);
    access.region = place.region.clone().or(access.region);
    access.path_style = place.addressing.map(|a| a == Addressing::Path).or(access.path_style);
    access.ca = place.ca_bundle.as_deref().map(|p| home_path(environment, p)).or(access.ca);
    Ok(access)
}

/// A path of a file of settings: `~/` is the home folder.
fn home_path(environment: &Environment, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), environment.home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Where keys that the user types are written: `~/.aws/credentials`, or the file that the variable names.
pub fn credentials_file(environment: &Environment) -> Option<PathBuf> {
    aws_file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
}

fn s3cfg_access(profiles: &Profiles, name: &str) -> Option<Access> {
    let s3cfg = profiles.s3cfg(name)?;
    Some(Access {
        profile: Some(name.to_owned()),
        path_style: None,
        endpoint: s3cfg.endpoint,
        region: s3cfg.region,
        ca: s3cfg.ca,
        source: Some(Source::Keys(Credentials::new(s3cfg.key, s3cfg.secret, s3cfg.token, None, "s3cfg"))),
    })
}

/// Nobody named a profile: environment, `AWS_PROFILE` or `default`, web identity, container; the
/// machine's own service only where the environment asks for it, because elsewhere it is a wait.
fn default_access(environment: &Environment, profiles: &Profiles) -> Result<Access> {
    let wished = environment.get("AWS_PROFILE");
    let name = wished.clone().unwrap_or_else(|| "default".to_owned());
    let mut access = aws_access(environment, profiles, &name, false);
    access.profile = wished.clone().or_else(|| profiles.has_aws("default").then(|| "default".to_owned()));
    if let (Some(key), Some(secret)) = (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY"))
    {
        access.profile = None;
        let token = environment.get("AWS_SESSION_TOKEN");
        access.source = Some(Source::Keys(Credentials::new(key, secret, token, None, "environment")));
        return Ok(access);
    }
    if let Some(name) = wished.filter(|name| !profiles.has_aws(name)) {
        return s3cfg_access(profiles, &name).ok_or_else(|| unknown_profile(&name, profiles));
    }
    if access.source.is_none() && environment.is_process() {
        let set = |name: &str| environment.get(name).is_some();
        let machine = set("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            || environment.get("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v == "false");
        let role = set("AWS_WEB_IDENTITY_TOKEN_FILE")
            || set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            || set("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        access.source = (machine || role).then_some(Source::Surroundings { machine });
    }
    Ok(access)
}

fn unknown_profile(name: &str, profiles: &Profiles) -> Error {
    let names: Vec<&str> = profiles.names().collect();
    let error = Error::new(Kind::NotFound, format!("there is no profile `{name}`"));
    match names.as_slice() {
        [] => error.with_hint("no profiles are set up: write one to ~/.aws/config and ~/.aws/credentials"),
        names => error.with_hint(format!("the profiles are: {}", crate::text::clean(&names.join(", ")))),
    }
}

fn no_credentials(profile: Option<&str>, profiles: &Profiles) -> Error {
    let looked: Vec<String> = profiles.looked.iter().map(|p| p.display().to_string()).collect();
    let why = match profile {
        Some(name) => format!("the profile `{name}` holds no credentials"),
        None => format!(
            "no credentials were found in the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE), {}",
            looked.join(" or ")
        ),
    };
    Error::new(Kind::Denied, why).with_hint(ANONYMOUS_HINT)
}

/// Finds the source of credentials anew.
pub(super) type Again = Box<dyn Fn() -> Option<Source> + Send + Sync>;

/// Credentials that are kept until they are about to end, for both libraries.
pub(super) struct Keys {
    provider: SharedCredentialsProvider,
    /// Whose they are, for sentences: "the profile `allas`".
    owner: String,
    again: Again,
    slot: tokio::sync::Mutex<Option<Credentials>>,
    /// When they were asked for.
    asked: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.owner)
    }
}

impl Keys {
    /// Keys from `source`, got with `http` where they are got over the network.
    pub(super) fn new(source: Source, again: Again, access: &Access, http: &SharedHttpClient) -> Arc<Self> {
        let region = access.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let config =
            ProviderConfig::without_region().with_http_client(http.clone()).with_region(Some(Region::new(region)));
        let provider = match source {
            Source::Keys(keys) => SharedCredentialsProvider::new(keys),
            Source::Profile(name, files) => SharedCredentialsProvider::new(
                ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_files(files)
                    .profile_name(name)
                    .build(),
            ),
            Source::Surroundings { machine } => {
                use aws_config::{ecs, imds, web_identity_token as web};
                let web = web::WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
                let container = ecs::EcsCredentialsProvider::builder().configure(&config).build();
                let chain = CredentialsProviderChain::first_try("WebIdentity", web).or_else("Container", container);
                SharedCredentialsProvider::new(if machine {
                    let imds = imds::credentials::ImdsCredentialsProvider::builder().configure(&config).build();
                    chain.or_else("Machine", imds)
                } else {
                    chain
                })
            }
        };
        let owner = access.profile.as_ref().map_or_else(|| "the environment".into(), |p| format!("the profile `{p}`"));
        let slot = tokio::sync::Mutex::default();
        Arc::new(Self { provider, owner, again, slot, asked: Mutex::default() })
    }

    /// The keys, renewed where they are about to end.
    pub(super) async fn get(&self) -> Result<Credentials> {
        let lasts = |keys: &&Credentials, margin| keys.expiry().is_none_or(|at| SystemTime::now() + margin < at);
        let mut slot = self.slot.lock().await;
        let lately =
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < ASK_AGAIN);
        let margin = if lately { LAST } else { RENEW };
        if let Some(keys) = slot.as_ref().filter(|keys| lasts(keys, margin)) {
            return Ok(keys.clone());
        }
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        match self.provider.provide_credentials().await {
            Ok(keys) => {
                *slot = Some(keys.clone());
                Ok(keys)
            }
            // Those that are there are good to their end.
            Err(err) => match slot.as_ref().filter(|keys| lasts(keys, Duration::ZERO)) {
                Some(keys) => Ok(keys.clone()),
                None => Err(self.failure(err)),
            },
        }
    }

    /// Gets other keys than `refused`, which a server no longer takes; whether there are any.
    pub(super) async fn renew(&self, refused: &Credentials) -> Result<bool> {
        let is_other = |keys: &Credentials| {
            keys.access_key_id() != refused.access_key_id() || keys.session_token() != refused.session_token()
        };
        let mut slot = self.slot.lock().await;
        if slot.as_ref().is_some_and(is_other) {
            return Ok(true);
        }
        // Written to a file by hand or by a script, they may have been renewed there.
        let found = match (self.again)() {
            Some(Source::Keys(keys)) => keys,
            _ => self.provider.provide_credentials().await.map_err(|err| self.failure(err))?,
        };
        let renewed = is_other(&found);
        if renewed {
            *slot = Some(found);
        }
        Ok(renewed)
    }

    fn failure(&self, err: CredentialsError) -> Error {
        let text = errors::chain(&err);
        let said = errors::metadata(&err);
        let why = match said {
            // Ceph's STS says no more than that it will not.
            Some(said) if said.code().is_none() => "the server refused to give any".to_owned(),
            Some(said) => [said.code(), said.message()].into_iter().flatten().collect::<Vec<_>>().join(": "),
            None => errors::deepest(&err),
        };
        let hint = if text.contains("sso") || text.contains("SSO") {
            "log in again: `aws sso login`"
        } else if said.is_some() {
            "check its role_arn, and whether the token in its web_identity_token_file is still valid"
        } else if text.contains("No such file") {
            "check its web_identity_token_file and its credential_process"
        } else {
            ANONYMOUS_HINT
        };
        let id = said.and_then(|said| said.extra("aws_request_id")).map(str::to_owned);
        let error = Error::new(Kind::Denied, format!("the credentials of {} could not be had: {why}", self.owner));
        let error = error.with_hint(hint).with_source(err);
        match id {
            Some(id) => error.with_request_id(id),
            None => error,
        }
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.get().await.map_err(CredentialsError::provider_error) })
    }
}

/// The bridge to `object_store`.
#[async_trait]
impl object_store::CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let keys =
            self.get().await.map_err(|err| object_store::Error::Generic { store: "S3", source: Box::new(err) })?;
        Ok(Arc::new(AwsCredential {
            key_id: keys.access_key_id().to_owned(),
            secret_key: keys.secret_access_key().to_owned(),
            token: keys.session_token().map(str::to_owned),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(files: &[(&str, &str)], variables: &[(&str, &str)]) -> (tempfile::TempDir, Options) {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join(".aws")).expect("a folder");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        let home = dir.path().to_string_lossy().into_owned();
        let all = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).chain([("HOME".to_owned(), home)]);
        let options = Options { environment: Environment::fixed(all), ..Options::default() };
        (dir, options)
    }

    const FILES: &[(&str, &str)] = &[
        (".aws/config", "[profile a]\nendpoint_url = http://a:1\nregion = ra\n[profile empty]\nregion = x\n"),
        (".aws/credentials", "[a]\naws_access_key_id = ka\naws_secret_access_key = top-secret\n"),
    ];

    fn key(access: &Access) -> String {
        match &access.source {
            Some(Source::Keys(keys)) => keys.access_key_id().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_named_profile_keeps_its_endpoint_and_the_default_follows_the_environment() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "ke"),
            ("AWS_SECRET_ACCESS_KEY", "se"),
            ("AWS_ENDPOINT_URL", "http://e:2"),
            ("AWS_REGION", "re"),
        ];
        let (_dir, options) = options(FILES, &variables);
        let named = access(&options, Some("a")).expect("profile a");
        assert_eq!((key(&named).as_str(), named.endpoint.as_deref()), ("ka", Some("http://a:1")));
        assert_eq!((named.region.as_deref(), named.path_style()), (Some("ra"), true));
        let default = access(&options, None).expect("environment");
        assert_eq!((key(&default).as_str(), default.endpoint.as_deref()), ("ke", Some("http://e:2")));
        assert_eq!(default.region.as_deref(), Some("re"));
        assert!(!format!("{named:?}{options:?}").contains("top-secret"));
    }

    #[test]
    fn the_variable_names_a_profile_when_it_holds_no_keys() {
        let (_dir, options) = options(FILES, &[("AWS_PROFILE", "a")]);
        assert_eq!(key(&access(&options, None).expect("profile a")), "ka");
    }

    #[test]
    fn missing_profiles_and_credentials_say_what_is_there() {
        let (_dir, options) = options(FILES, &[]);
        let unknown = access(&options, Some("nobody")).expect_err("unknown");
        assert_eq!((unknown.kind(), unknown.hint()), (Kind::NotFound, Some("the profiles are: a, empty")));
        let none = access(&options, None).expect_err("none");
        assert_eq!(none.kind(), Kind::Denied);
        assert!(none.to_string().contains(".aws/credentials"), "{none}");
        assert!(none.hint().is_some_and(|h| h.contains("--no-sign-request")));
        assert!(access(&options, Some("empty")).is_err());
        let anonymous = Options { no_sign_request: true, ..options };
        assert!(access(&anonymous, None).expect("anonymous").source.is_none());
    }
}
