//! Named access as files keep it: `~/.aws/config`, `~/.aws/credentials`, and s3cmd's `~/.s3cfg`.
//!
//! Only what is needed to name a place, find its endpoint and read plain keys is read here; roles,
//! single sign-on and credential processes are left to `aws-config`, which reads the same files.
//! Format: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use super::environment::Environment;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A file of settings is small; anything larger is something else.
const LARGEST: u64 = 1 << 20;

/// Who has set a profile up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The program itself: the demo.
    Program,
    /// `[places]` of `config.toml`.
    Place,
    /// `~/.aws/config` or `~/.aws/credentials`.
    Aws,
    /// A file of s3cmd.
    S3cfg,
}

/// A named access that the user has set up: what the start screen shows. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Profile {
    /// Its name, as in `s3://name@bucket/`.
    pub name: String,
    /// Its endpoint; `None` is Amazon.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Who has set it up.
    pub origin: Origin,
    /// Where its credentials come from, in words; never what they are.
    pub credentials: String,
}

/// Keys of a profile in lower case; nested ones as `s3.addressing_style`.
type Section = BTreeMap<String, String>;

/// All that the files say.
#[derive(Default)]
pub(super) struct Profiles {
    /// By name, in the order of their names.
    aws: BTreeMap<String, Section>,
    services: BTreeMap<String, Section>,
    s3cfg: BTreeMap<String, Section>,
    /// Where was looked, for the sentence about missing credentials.
    pub(super) looked: Vec<PathBuf>,
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Profiles {
    /// Reads the files that are there; those that are not, or that cannot be read, say nothing.
    pub(super) fn load(environment: &Environment) -> Self {
        let mut found = Self::default();
        let home = environment.home();
        for (variable, name, is_config) in
            [("AWS_CONFIG_FILE", "config", true), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", false)]
        {
            let Some(path) = aws_file(environment, variable, name) else { continue };
            let text = read_small(&path);
            found.looked.push(path);
            for (heading, section) in text.iter().flat_map(|t| sections(t)) {
                found.add_aws(&heading, section, is_config);
            }
        }
        for path in home.iter().flat_map(|home| s3cfg_files(home)) {
            let name = path.file_name().map(|n| n.to_string_lossy().trim_start_matches('.').to_owned());
            let settings = read_small(&path).and_then(|text| {
                let (_, settings) = sections(&text).into_iter().find(|(heading, _)| heading == "default")?;
                (settings.contains_key("host_base") && settings.contains_key("access_key")).then_some(settings)
            });
            if let (Some(name), Some(settings)) = (name, settings) {
                found.s3cfg.insert(name, settings);
            }
        }
        found
    }

    fn add_aws(&mut self, heading: &str, section: Section, is_config: bool) {
        let (kind, name) = heading.split_once([' ', '\t']).unwrap_or(("", heading));
        let name = name.trim().trim_matches('"').to_owned();
        let table = match (kind, is_config) {
            ("profile", true) => &mut self.aws,
            ("services", true) => &mut self.services,
            ("", true) if name == "default" => &mut self.aws,
            (_, false) => {
                // A name with a space is a name in the file of credentials.
                self.aws.entry(heading.trim_matches('"').to_owned()).or_default().extend(section);
                return;
            }
            _ => return,
        };
        table.entry(name).or_default().extend(section);
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.aws.keys().chain(self.s3cfg.keys()).map(String::as_str)
    }

    /// What the start screen shows.
    pub(super) fn list(&self) -> Vec<Profile> {
        let aws = self.aws.keys().map(|name| Profile {
            name: name.clone(),
            endpoint: self.endpoint(name),
            region: self.aws(name, "region").map(str::to_owned),
            origin: Origin::Aws,
            credentials: self.credentials(name),
        });
        let s3cfg = self.s3cfg.iter().filter(|(name, _)| !self.aws.contains_key(*name)).map(|(name, s)| Profile {
            name: name.clone(),
            endpoint: s3cfg_endpoint(s),
            region: s3cfg_region(s),
            origin: Origin::S3cfg,
            credentials: self.credentials(name),
        });
        aws.chain(s3cfg).collect()
    }

    /// Where the credentials of a profile come from, in words.
    pub(super) fn credentials(&self, name: &str) -> String {
        let has = |key: &str| self.aws(name, key).is_some();
        let id = |key: Option<&str>| key.map(|id| format!(" {}", masked(id))).unwrap_or_default();
        if let Some(s3cfg) = self.s3cfg.get(name).filter(|_| !self.has_aws(name)) {
            return format!("key{} of ~/.{name}", id(s3cfg.get("access_key").map(String::as_str)));
        }
        if has("role_arn") {
            "a role (role_arn)".to_owned()
        } else if has("aws_access_key_id") && has("aws_secret_access_key") {
            let kind = if has("aws_session_token") { "temporary key" } else { "key" };
            format!("{kind}{} of profile {name}", id(self.aws(name, "aws_access_key_id")))
        } else if has("sso_session") || has("sso_start_url") || has("login_session") {
            "single sign-on".to_owned()
        } else if has("credential_process") {
            "a process (credential_process)".to_owned()
        } else {
            "none".to_owned()
        }
    }

    /// Whether any file holds it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.has_aws(name) || self.s3cfg.contains_key(name)
    }

    /// Whether the AWS files hold it.
    pub(super) fn has_aws(&self, name: &str) -> bool {
        self.aws.contains_key(name)
    }

    /// A setting of an AWS profile.
    pub(super) fn aws(&self, profile: &str, key: &str) -> Option<&str> {
        self.aws.get(profile)?.get(key).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The endpoint of an AWS profile: its service section's, else its own.
    pub(super) fn endpoint(&self, profile: &str) -> Option<String> {
        let service = self.aws(profile, "services").and_then(|s| self.services.get(s));
        service
            .and_then(|s| s.get("s3.endpoint_url"))
            .map(String::as_str)
            .or_else(|| self.aws(profile, "s3.endpoint_url"))
            .or_else(|| self.aws(profile, "endpoint_url"))
            .map(str::to_owned)
    }

    /// What an s3cmd file says.
    pub(super) fn s3cfg(&self, name: &str) -> Option<S3cfg> {
        let section = self.s3cfg.get(name)?;
        let text = |key: &str| section.get(key).filter(|v| !v.is_empty()).cloned();
        Some(S3cfg {
            endpoint: s3cfg_endpoint(section),
            region: s3cfg_region(section),
            key: text("access_key")?,
            secret: text("secret_key")?,
            token: text("access_token"),
            ca: text("ca_certs_file").map(PathBuf::from),
        })
    }
}

/// The settings of an s3cmd file.
pub(super) struct S3cfg {
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) ca: Option<PathBuf>,
}

fn s3cfg_endpoint(section: &Section) -> Option<String> {
    let host = section.get("host_base").filter(|h| !h.is_empty())?;
    if host == "s3.amazonaws.com" {
        return None;
    }
    let plain =
        section.get("use_https").is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "false" | "no" | "0"));
    Some(format!("{}://{host}", if plain { "http" } else { "https" }))
}

/// s3cmd writes `US` for Amazon's first region, and for servers that have none.
fn s3cfg_region(section: &Section) -> Option<String> {
    section.get("bucket_location").filter(|r| !r.is_empty() && *r != "US").cloned()
}

/// The name of a key as it is shown: enough to know it again, not all of it.
pub(super) fn masked(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    let head: String = chars.iter().take(if chars.len() < 12 { 2 } else { 4 }).collect();
    let tail: String = chars.iter().skip(chars.len().saturating_sub(2).max(4)).collect();
    if chars.len() < 12 { format!("{head}…") } else { format!("{head}…{tail}") }
}

/// Where an AWS file is: the variable's word, else `~/.aws/NAME`.
pub(super) fn aws_file(environment: &Environment, variable: &str, name: &str) -> Option<PathBuf> {
    let home = environment.home();
    match (environment.get(variable), home) {
        (Some(path), Some(home)) if path.starts_with("~/") => Some(home.join(&path[2..])),
        (Some(path), _) => Some(PathBuf::from(path)),
        (None, home) => Some(home?.join(".aws").join(name)),
    }
}

/// `~/.s3cfg` and whatever else begins with `.s3`, in the order of their names.
fn s3cfg_files(home: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(home)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".s3"))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

fn read_small(path: &Path) -> Option<String> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > LARGEST {
        return None;
    }
    Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned())
}

/// The sections of an INI text: heading and keys. Lines that are neither are passed over.
fn sections(text: &str) -> Vec<(String, Section)> {
    let mut out: Vec<(String, Section)> = Vec::new();
    let mut outer = String::new();
    for line in text.lines() {
        let body = line.trim();
        if body.is_empty() || body.starts_with(['#', ';']) {
            continue;
        }
        if let Some(heading) = body.strip_prefix('[').and_then(|b| b.split_once(']')) {
            out.push((heading.0.trim().to_owned(), Section::new()));
            outer.clear();
            continue;
        }
        let (Some((_, section)), Some((key, value))) = (out.last_mut(), body.split_once('=')) else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), without_comment(value.trim()));
        // An indented line below `s3 =` belongs to it.
        if line.starts_with([' ', '\t']) && !outer.is_empty() {
            section.insert(format!("{outer}.{key}"), value.to_owned());
        } else {
            outer = if value.is_empty() { key.clone() } else { String::new() };
            section.insert(key, value.to_owned());
        }
    }
    out
}

/// Cuts a comment that follows a space: `eu-west-1 # Ireland`.
fn without_comment(value: &str) -> &str {
    let cut = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value[..cut.unwrap_or(value.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(files: &[(&str, &str)]) -> (tempfile::TempDir, Environment) {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        let environment = Environment::fixed([("HOME", dir.path().to_string_lossy())]);
        (dir, environment)
    }

    #[test]
    fn profiles_come_from_both_aws_files_and_from_s3cmd() {
        let (_dir, environment) = home(&[
            (
                ".aws/config",
                "# mine\n[default]\nregion = eu-north-1 ; home\n\n[profile allas]\nendpoint_url=https://a3s.fi\ns3 =\n  \
                 addressing_style = path\n  max_queue_size = 10\nregion = regionOne\n[profile \"two words\"]\nservices = x\n\
                 [services x]\ns3 =\n  endpoint_url = http://127.0.0.1:9\n[sso-session corp]\nsso_region = eu-west-1\n",
            ),
            (".aws/credentials", "[allas]\naws_access_key_id = K\naws_secret_access_key = S=#/x\n[keys only]\nx=1\n"),
            (
                ".s3cfg",
                "[default]\naccess_key = A\nsecret_key = B\nhost_base = s3.mesocentre.uca.fr\nuse_https = True\n",
            ),
            (".s3cfg-local", "[default]\naccess_key=A\nsecret_key=B\nhost_base=127.0.0.1:7480\nuse_https=False\n"),
            (".s3nothing", "just words"),
        ]);
        let profiles = Profiles::load(&environment);
        let shown: Vec<String> = profiles
            .list()
            .into_iter()
            .map(|p| format!("{} {} {}", p.name, p.endpoint.unwrap_or_default(), p.region.unwrap_or_default()))
            .collect();
        assert_eq!(
            shown,
            [
                "allas https://a3s.fi regionOne",
                "default  eu-north-1",
                "keys only  ",
                "two words http://127.0.0.1:9 ",
                "s3cfg https://s3.mesocentre.uca.fr ",
                "s3cfg-local http://127.0.0.1:7480 ",
            ]
        );
        let sources: Vec<String> = profiles.list().into_iter().map(|p| p.credentials).collect();
        assert_eq!(
            sources,
            ["key K… of profile allas", "none", "none", "none", "key A… of ~/.s3cfg", "key A… of ~/.s3cfg-local"]
        );
        assert_eq!(masked("AKIAIOSFODNN7EXAMPLE"), "AKIA…LE");
        assert_eq!(profiles.aws("allas", "s3.addressing_style"), Some("path"));
        assert_eq!(profiles.aws("allas", "aws_secret_access_key"), Some("S=#/x"));
        assert!(!format!("{profiles:?}").contains("S=#"));
    }

    #[test]
    fn files_of_nonsense_name_nothing() {
        let (_dir, environment) =
            home(&[(".aws/config", "= = =\n[\n]]\nkey=1\n[profile\n"), (".aws/credentials", "\u{0}\u{1}")]);
        assert!(Profiles::load(&environment).list().is_empty());
    }
}
