//! How much of the machine and of the line secchi takes: what the configuration says, else a modest default,
//! and a more modest one on the login node of a cluster, which many people share.

use super::Config;
use crate::error::{Error, Result};
use std::ffi::OsString;

/// Jobs and requests at once on a login node, where nobody said a number.
const JOBS_LOGIN: usize = 1;
const CONCURRENCY_LOGIN: usize = 8;
/// Bytes per second on a login node, where nobody said a number: a tenth of a 10 Gbit/s line.
const BANDWIDTH_LOGIN: u64 = 125_000_000;

/// Bytes per second as a person writes them, or `none` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<u64>);

impl std::str::FromStr for Rate {
    type Err = Error;

    /// `80M`, `80MB/s`, `10MiB/s`, `1.5G`, `800Mbit/s`, `500000`, `none`. K, M, G are powers of 1000; Ki, Mi, Gi of
    /// 1024. `0` is no limit, too.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("`{}` is not a rate", crate::text::clean(text))).with_hint(
                "write 80M, 10MiB/s, 800Mbit/s or none: K, M and G are powers of 1000, Ki, Mi and Gi of 1024",
            )
        };
        let lower = text.trim().to_ascii_lowercase();
        if matches!(lower.as_str(), "none" | "off" | "unlimited") {
            return Ok(Self(None));
        }
        let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim().trim_end_matches("/s").trim_end();
        // Whoever writes `bps` means bits, as on the label of a line.
        let (unit, bits) = match unit.strip_suffix("bit").or_else(|| unit.strip_suffix("bps")) {
            Some(unit) => (unit, 8.0),
            None => (unit.strip_suffix('b').unwrap_or(unit), 1.0),
        };
        let factor = match unit {
            "" => 1.0,
            "k" => 1e3,
            "m" => 1e6,
            "g" => 1e9,
            "ki" => 1024.0,
            "mi" => 1024.0 * 1024.0,
            "gi" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        let rate = number * factor / bits;
        match rate {
            0.0 => Ok(Self(None)),
            // Slower than that no request would be answered in time.
            1_000.0..1e15 => Ok(Self(Some(rate as u64))),
            _ => Err(wrong().context("a limit on bandwidth is at least 1 kB/s")),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => bytes.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(|err: Error| {
            let hint = err.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
            serde::de::Error::custom(format!("{err}{hint}"))
        })
    }
}

/// The limits that hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that run at once; `None`: the engine's default.
    pub jobs: Option<usize>,
    /// Requests under way at once; `None`: the store's default.
    pub concurrency: Option<usize>,
    /// Bytes per second, received and sent together; `None`: no limit.
    pub bandwidth: Option<u64>,
    /// Whether this looks like a login node, and some of them are lower because of that.
    pub is_login: bool,
}

impl Limits {
    /// What holds in this process; `concurrency` and `bandwidth` of the command line go before the configuration.
    pub fn find(config: &Config, concurrency: Option<usize>, bandwidth: Option<Rate>) -> Self {
        Self::on(is_login_node(), config, concurrency, bandwidth)
    }

    fn on(is_login: bool, config: &Config, concurrency: Option<usize>, bandwidth: Option<Rate>) -> Self {
        let (jobs, requests) = (config.jobs, concurrency.or(config.concurrency));
        if !is_login {
            let bandwidth = bandwidth.or(config.bandwidth).and_then(|rate| rate.0);
            return Self { jobs, concurrency: requests, bandwidth, is_login: false };
        }
        // What is said for all places holds here too, unless something is said for login nodes.
        let said = bandwidth.or(config.bandwidth_login).or(config.bandwidth);
        let limits = Self {
            jobs: jobs.or(Some(JOBS_LOGIN)),
            concurrency: requests.or(Some(CONCURRENCY_LOGIN)),
            bandwidth: said.map_or(Some(BANDWIDTH_LOGIN), |rate| rate.0),
            is_login: false,
        };
        Self { is_login: jobs.is_none() || requests.is_none() || said.is_none(), ..limits }
    }

    /// Why it is slower here, and what to do; `None` where all is as the user said.
    pub fn words(&self) -> Option<String> {
        let at_once =
            |n: Option<usize>, what: &str| n.map(|n| format!("{n} {what}{} at once", if n == 1 { "" } else { "s" }));
        let rate = self.bandwidth.map(|rate| format!("{} MB/s", rate / 1_000_000));
        let limits: Vec<String> =
            [at_once(self.jobs, "job"), at_once(self.concurrency, "request"), rate].into_iter().flatten().collect();
        self.is_login.then(|| {
            format!(
                "this looks like a login node, which others share: {}; jobs, concurrency and bandwidth_login in \
                 config.toml change that",
                limits.join(", ")
            )
        })
    }
}

/// Whether this process runs on what looks like the login node of a cluster.
pub fn is_login_node() -> bool {
    looks_like_one(|name| std::env::var_os(name))
}

/// Whether this looks like the login node of a cluster: a session over SSH where Slurm is installed, and not
/// within one of its jobs.
fn looks_like_one(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("SLURM_JOB_ID") || !["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"].into_iter().any(is_set) {
        return false;
    }
    let path = variable("PATH").unwrap_or_default();
    is_set("SLURM_CONF") || std::env::split_paths(&path).any(|folder| folder.join("sbatch").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, rate) in [
            ("80M", 80_000_000),
            ("80 MB/s", 80_000_000),
            ("10MiB/s", 10 << 20),
            ("10Mi", 10 << 20),
            ("1.5g", 1_500_000_000),
            ("800Mbit/s", 100_000_000),
            ("800 Mbps", 100_000_000),
            ("500000", 500_000),
        ] {
            assert_eq!(text.parse::<Rate>().expect(text), Rate(Some(rate)), "{text}");
        }
        for text in ["none", "0", "off"] {
            assert_eq!(text.parse::<Rate>().expect(text), Rate(None), "{text}");
        }
        for text in ["", "fast", "-1M", "1T", "80 M B", "1.2.3M", "5", "1e9", "NaN"] {
            let err = text.parse::<Rate>().expect_err(text);
            assert_eq!(err.exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_login_node_is_an_ssh_session_beside_slurm() {
        let on = |set: &[(&str, &str)]| {
            looks_like_one(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        let (ssh, slurm) = (("SSH_CONNECTION", "10.0.0.1 5 10.0.0.2 22"), ("SLURM_CONF", "/etc/slurm.conf"));
        assert!(on(&[ssh, slurm]));
        assert!(!on(&[ssh]) && !on(&[slurm]) && !on(&[]));
        assert!(!on(&[ssh, slurm, ("SLURM_JOB_ID", "7")]), "a node of one's own");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_string_lossy().into_owned();
        assert!(!on(&[ssh, ("PATH", &path)]));
        std::fs::write(folder.path().join("sbatch"), "").expect("written");
        assert!(on(&[ssh, ("PATH", &path)]));
    }

    #[test]
    fn what_is_said_goes_before_the_defaults_of_a_login_node() {
        let config = |text: &str| Config::from_toml(text).expect("a configuration");
        let limits = Limits::on(true, &config(""), None, None);
        assert_eq!((limits.jobs, limits.concurrency, limits.bandwidth), (Some(1), Some(8), Some(125_000_000)));
        assert!(limits.words().is_some_and(|words| words.contains("1 job at once, 8 requests at once, 125 MB/s")));
        assert_eq!(Limits::on(false, &config(""), None, None).words(), None);

        let said = config("jobs = 3\nconcurrency = 20\nbandwidth = \"none\"\nbandwidth_login = \"40MiB/s\"");
        let limits = Limits::on(true, &said, None, None);
        assert_eq!((limits.jobs, limits.concurrency, limits.bandwidth), (Some(3), Some(20), Some(40 << 20)));
        assert_eq!(limits.words(), None, "all is as it was said");
        assert_eq!(Limits::on(false, &said, None, None).bandwidth, None);
        let limits = Limits::on(true, &said, Some(2), Some(Rate(Some(5_000))));
        assert_eq!((limits.concurrency, limits.bandwidth), (Some(2), Some(5_000)));
        let err = Config::from_toml("bandwidth = \"quick\"").expect_err("no rate");
        assert!(err.to_string().contains("`quick` is not a rate"), "{err}");
    }
}
