//! Addresses and texts without what may be secret: signatures, tokens, passwords.

/// Parameters of a query whose values are shown: what is asked, never who asks. All others are left out.
pub(super) const SHOWN: [&str; 38] = [
    "acl",
    "attributes",
    "bbox",
    "collections",
    "comp",
    "cors",
    "datetime",
    "delete",
    "delimiter",
    "encoding-type",
    "encryption",
    "fetch-owner",
    "ids",
    "key-marker",
    "legal-hold",
    "lifecycle",
    "limit",
    "list-type",
    "location",
    "logging",
    "marker",
    "max-keys",
    "notification",
    "object-lock",
    "partnumber",
    "policy",
    "prefix",
    "replication",
    "restype",
    "retention",
    "start-after",
    "tagging",
    "uploadid",
    "uploads",
    "versionid",
    "versioning",
    "versions",
    "x-id",
];

/// Names of parameters that are secret wherever they stand, for texts that are not addresses.
const SECRET: [&str; 14] = [
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
    "x-goog-signature",
    "x-goog-credential",
    "awsaccesskeyid",
    "signature",
    "sig",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "password",
    "secret",
];

/// What stands for something left out.
const GONE: &str = "…";

/// Whether the value of this parameter is shown.
pub(super) fn is_shown(name: &str) -> bool {
    SHOWN.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether the value of this parameter is secret wherever it stands.
pub(super) fn is_secret(name: &str) -> bool {
    SECRET.contains(&name.trim_start_matches('?').to_ascii_lowercase().as_str())
}

/// The address without its query, its fragment and who is named before its host; and the query with
/// the parameters of [`SHOWN`] alone, `…` for the rest.
pub(super) fn split(uri: &str) -> (String, String) {
    let (rest, _fragment) = uri.split_once('#').unwrap_or((uri, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut shown: Vec<&str> = Vec::new();
    for pair in query.split(['&', ';', '?']).filter(|pair| !pair.is_empty()) {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if is_shown(name) {
            shown.push(pair);
        } else if shown.last() != Some(&GONE) {
            shown.push(GONE);
        }
    }
    (without_user(path), shown.join("&"))
}

fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// An address as it may be shown; the same where it holds nothing secret.
pub fn address(uri: &str) -> String {
    match split(uri) {
        (address, query) if query.is_empty() => address,
        (address, query) => format!("{address}?{query}"),
    }
}

/// A text in which addresses and parameters may stand, without their secrets.
pub(super) fn text(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | ',' | '`');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(ends).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(&if word.contains("://") { address(word) } else { parameters(word) });
        let gap = after.find(|c| !ends(c)).unwrap_or(after.len());
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    out
}

/// A word of `name=value` parts without the values of [`SECRET`].
fn parameters(word: &str) -> String {
    if !word.contains('=') {
        return word.to_owned();
    }
    let part = |part: &str| match part.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={GONE}"),
        _ => part.to_owned(),
    };
    word.split('&').map(part).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_stays_and_who_asks_goes() {
        let signed = "https://h/b/a%20b?list-type=2&X-Amz-Credential=k&X-Amz-Signature=s&prefix=x%2Fy&x-id=GetObject";
        assert_eq!(address(signed), "https://h/b/a%20b?list-type=2&…&prefix=x%2Fy&x-id=GetObject");
        assert_eq!(address("http://user:pass@h:1/p#frag"), "http://h:1/p");
        assert_eq!(address("https://h/f.tif?sv=2020&sig=abc"), "https://h/f.tif?…");
        assert_eq!(address("s3://b/k"), "s3://b/k");
    }

    #[test]
    fn texts_keep_their_words() {
        assert_eq!(
            text("error for url (http://u:p@h/k?sig=1): token=abc&a=1, see 'https://h/x'"),
            "error for url (http://h/k?…): token=…&a=1, see 'https://h/x'"
        );
        assert_eq!(text("no\n such  key"), "no\n such  key");
    }
}
