//! The environment as the store sees it: the process's, or a fixed one, so that tests need not
//! change the process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where variables such as `AWS_PROFILE` and `HOME` are read.
#[derive(Clone, Default)]
pub struct Environment(Option<Arc<BTreeMap<String, String>>>);

impl Environment {
    /// Exactly these variables, and none of the process.
    pub fn fixed<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(Some(Arc::new(variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect())))
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Some(fixed) => fixed.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|v| !v.is_empty())
    }

    /// All variables whose names begin so, with values that are not empty.
    pub(crate) fn beginning_with(&self, prefix: &str) -> Vec<(String, String)> {
        let fits = |(name, value): &(String, String)| name.starts_with(prefix) && !value.is_empty();
        match &self.0 {
            Some(fixed) => fixed.iter().map(|(k, v)| (k.clone(), v.clone())).filter(fits).collect(),
            None => std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .filter(fits)
                .collect(),
        }
    }

    /// Whether it is the process's own, which libraries that read it themselves see too.
    pub(crate) fn is_process(&self) -> bool {
        self.0.is_none()
    }

    /// The home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        match self.get("HOME") {
            Some(home) => Some(PathBuf::from(home)),
            None if self.is_process() => directories::BaseDirs::new().map(|d| d.home_dir().to_owned()),
            None => None,
        }
    }
}

impl fmt::Debug for Environment {
    /// Variables may hold secrets: only where they come from is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_process() { "Environment(process)" } else { "Environment(fixed)" })
    }
}
