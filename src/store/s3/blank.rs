//! Keys of nothing but white space. S3 holds them, but the SDK takes such a key for a missing one and
//! refuses it before anybody is asked. So it goes under another name, which is put right again in
//! the request before that is signed.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::borrow::Cow;
use std::fmt::Write as _;

/// A key that holds it is itself renamed, so that nothing is ambiguous.
const MARK: &str = "~secchi~blank~";

/// What stays as it is, or the signature does not fit.
pub(super) const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// `key` as the SDK is to be told it.
pub(super) fn spelled(key: &str) -> Cow<'_, str> {
    let is_blank = !key.is_empty() && key.trim().is_empty();
    if !is_blank && !key.contains(MARK) {
        return key.into();
    }
    let mut name = MARK.to_owned();
    for byte in key.bytes() {
        let _ = write!(name, "{byte:02x}");
    }
    name.into()
}

/// The address of a request with the key that was meant; `None` where it is as it should be.
fn righted(uri: &str) -> Option<String> {
    let path = uri.find('?').unwrap_or(uri.len());
    let at = uri[..path].rfind(MARK)?;
    let digits = uri.get(at + MARK.len()..path)?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let key: Vec<u8> = digits.chunks(2).map(byte).collect::<Option<_>>()?;
    Some(format!("{}{}{}", &uri[..at], percent_encode(&key, ENCODED), &uri[path..]))
}

/// Puts the key right.
#[derive(Debug)]
pub(super) struct Blank;

impl Intercept for Blank {
    fn name(&self) -> &'static str {
        "blank keys"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if let Some(uri) = righted(request.uri()) {
            request.set_uri(uri)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_sdk_refuses_is_renamed() {
        for key in ["a", " a", "a ", "dir/ ", "~secchi~x"] {
            assert_eq!(spelled(key), key);
            assert_eq!(righted(&format!("http://h/b/{key}?x-id=GetObject")), None);
        }
        for (key, sent) in [(" ", "%20"), ("\t\n", "%09%0A"), ("\u{3000}", "%E3%80%80")] {
            let uri = format!("http://h/b/{}?x-id=GetObject", spelled(key));
            assert_eq!(righted(&uri), Some(format!("http://h/b/{sent}?x-id=GetObject")));
        }
        for key in ["~secchi~blank~20", "dir/~secchi~blank~20"] {
            assert_eq!(righted(&format!("http://h/b/{}", spelled(key))), Some(format!("http://h/b/{key}")));
        }
    }
}
