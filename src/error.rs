//! The one error type: what failed, why, and what the user can do about it.

use std::fmt;

/// A result of ours.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is: few enough that a caller can act on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The words given to the program do not fit together.
    Usage,
    /// No such bucket, key, file, profile, asset.
    NotFound,
    /// Credentials are missing, wrong or not sufficient.
    Denied,
    /// Nothing answered at the address, or it stopped answering.
    Unreachable,
    /// The destination exists and may not be replaced.
    Exists,
    /// The bytes are not what they claim to be: truncated, corrupt, of another format.
    Invalid,
    /// The server or this program does not offer it.
    Unsupported,
    /// What was read has changed in the meantime.
    Changed,
    /// A limit of time, memory or disk was reached.
    Limit,
    /// The user (or a signal) stopped it.
    Cancelled,
    /// Anything else.
    Failed,
}

/// A failure with its story: `what` failed, `why`, and the technical source below it.
pub struct Error {
    kind: Kind,
    /// Outermost first: "listing the bucket", "the server closed the connection".
    context: Vec<String>,
    hint: Option<String>,
    request_id: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `why` in words.
    pub fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, context: vec![why.into()], hint: None, request_id: None, source: None }
    }

    /// Bytes that are not what they claim to be.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, why)
    }

    /// Something neither we nor the server offer.
    pub fn unsupported(why: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, why)
    }

    /// Words on the command line or in a form that do not fit.
    pub fn usage(why: impl Into<String>) -> Self {
        Self::new(Kind::Usage, why)
    }

    /// The user stopped it.
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled")
    }

    /// Puts what was being done in front: "opening x: why".
    #[must_use]
    pub fn context(mut self, what: impl Into<String>) -> Self {
        self.context.insert(0, what.into());
        self
    }

    /// Says what the user can do, where the kind's general hint is too vague.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps the server's request id, for the log and for a letter to the operators.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Keeps the technical cause for the log screen.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure once more, for another owner; without its technical source.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            kind: self.kind,
            context: self.context.clone(),
            hint: self.hint.clone(),
            request_id: self.request_id.clone(),
            source: None,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The server's request id, if one was given.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// What the user can do about it, in one sentence; `None` where there is nothing to do.
    pub fn hint(&self) -> Option<&str> {
        if let Some(hint) = &self.hint {
            return Some(hint);
        }
        Some(match self.kind {
            Kind::Usage => "see `secchi --help`",
            Kind::NotFound => "check the spelling, or list the folder above it",
            Kind::Denied => "check the profile, or try --no-sign-request for public data",
            Kind::Unreachable => "check the endpoint and the network, then try again",
            Kind::Exists => "choose another name, or allow overwriting",
            Kind::Changed => "refresh, then try again",
            Kind::Limit => "make room or raise the limit, then try again",
            Kind::Invalid | Kind::Unsupported | Kind::Cancelled | Kind::Failed => return None,
        })
    }

    /// The exit code of the command line for it (see the README's table).
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Denied => 4,
            Kind::Unreachable => 5,
            Kind::Exists => 6,
            Kind::Cancelled => 130,
            Kind::Invalid | Kind::Unsupported | Kind::Changed | Kind::Limit | Kind::Failed => 1,
        }
    }

    /// The technical chain below the sentence, for the log; may hold text from a server.
    pub fn details(&self) -> String {
        let mut out = String::new();
        let mut next = self.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static));
        while let Some(err) = next {
            if !out.is_empty() {
                out.push_str(": ");
            }
            out.push_str(&err.to_string());
            next = err.source();
        }
        out
    }
}

impl fmt::Display for Error {
    /// One sentence without control characters: "what: why".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for (i, part) in self.context.iter().enumerate() {
            // What the part before ends with is not said again: "reading x: x: no such file".
            let is_said = |name: &str| !name.is_empty() && before.ends_with(name);
            if i + 1 < self.context.len() && is_said(part) {
                continue;
            }
            let rest = part.split_once(": ").filter(|(name, _)| is_said(name)).map_or(part.as_str(), |(_, rest)| rest);
            if i > 0 {
                f.write_str(": ")?;
            }
            f.write_str(&crate::text::clean(rest))?;
            before = part;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        if self.source.is_some() {
            write!(f, " ({})", self.details())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(err: std::io::Error) -> Self {
        use std::io::ErrorKind as E;
        let (kind, why) = match err.kind() {
            E::NotFound => (Kind::NotFound, "no such file or folder".to_owned()),
            E::PermissionDenied => (Kind::Denied, "permission denied".to_owned()),
            E::AlreadyExists => (Kind::Exists, "it exists already".to_owned()),
            E::ReadOnlyFilesystem => (Kind::Denied, "the disk is read-only".to_owned()),
            E::QuotaExceeded => (Kind::Limit, "the quota of this disk is used up".to_owned()),
            E::StorageFull => (Kind::Limit, "the disk is full".to_owned()),
            E::FileTooLarge => {
                (Kind::Limit, "no file may be so large there, by the disk or by a limit (`ulimit -f`)".to_owned())
            }
            E::UnexpectedEof => (Kind::Invalid, "the data end too early".to_owned()),
            E::ConnectionRefused | E::ConnectionReset | E::TimedOut | E::ConnectionAborted => {
                (Kind::Unreachable, err.to_string())
            }
            _ => (Kind::Failed, err.to_string()),
        };
        let hint = (kind == Kind::Denied).then_some("check the permissions of the file and its folder");
        let error = Self::new(kind, why).with_source(err);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(err: serde_json::Error) -> Self {
        Self::new(Kind::Invalid, format!("not valid JSON: {err}")).with_source(err)
    }
}

/// Adds [`Error::context`] to a result.
pub trait Context<T> {
    /// Puts what was being done in front of the error.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|err| err.into().context(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_one_sentence_without_control_characters() {
        let err = Error::new(Kind::NotFound, "no such key\u{1b}[2J").context("opening s3://b/k");
        assert_eq!(err.to_string(), "opening s3://b/k: no such key␛[2J");
        assert_eq!(err.exit_code(), 3);
        let twice = Error::new(Kind::NotFound, "no such file").context("/a b").context("reading /a b");
        assert_eq!(twice.to_string(), "reading /a b: no such file");
    }

    #[test]
    fn a_full_disk_is_a_limit() {
        let err: Error = std::io::Error::from(std::io::ErrorKind::StorageFull).into();
        assert_eq!(err.kind(), Kind::Limit);
    }
}
