//! Small objects on their way to a server: signed as `object_store` signs and sent over the connections that it
//! uses. The SDK takes twice the processor's time for a request, which is most of what a small object costs.

use super::blank::ENCODED;
use super::control::{headers, tagging};
use super::lister::signed;
use super::{Answer, S3};
use crate::error::Result;
use crate::store::errors::{Fault, chain};
use crate::store::metered::Traffic;
use crate::store::{Sums, Taken, UploadMeta};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use object_store::client::{HttpRequest, HttpRequestBody};
use percent_encoding::utf8_percent_encode;

/// Larger bodies go by the SDK, a piece at a time, so that one sees how they go on.
const SMALL: usize = 256 << 10;
/// Of a refusal no more is read.
const MOST_OF_REFUSAL: usize = 64 << 10;

/// Whether an address with this key comes through a parser of URLs as it was.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.split('/').all(|segment| !matches!(segment, "." | ".."))
}

/// What is sent beside the bytes; `None` where a header cannot carry it.
fn beside(meta: &UploadMeta, sums: &Sums, if_absent: bool) -> Result<Option<HeaderMap>> {
    let mut out = HeaderMap::new();
    let mut fits = true;
    let mut add = |name: &str, value: String| match (name.parse::<HeaderName>(), HeaderValue::try_from(value)) {
        (Ok(name), Ok(value)) => drop(out.insert(name, value)),
        _ => fits = false,
    };
    for (name, value) in headers(&meta.metadata)? {
        add(&format!("x-amz-meta-{name}"), value);
    }
    let given = [
        ("content-type", meta.content_type.clone()),
        ("content-md5", sums.content_md5()),
        ("x-amz-checksum-crc32c", sums.crc32c_text()),
        ("x-amz-checksum-sha256", sums.sha256_text()),
        ("x-amz-tagging", tagging(meta)),
        ("x-amz-storage-class", meta.storage_class.clone()),
        ("x-amz-server-side-encryption", meta.encryption.clone()),
        ("x-amz-server-side-encryption-aws-kms-key-id", meta.encryption_key.clone()),
        ("x-amz-acl", meta.acl.clone()),
        ("if-none-match", if_absent.then(|| "*".to_owned())),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            add(name, value);
        }
    }
    for (name, value) in meta.headers() {
        add(name, value);
    }
    Ok(fits.then_some(out))
}

impl S3 {
    /// Sends a small object; `None` where it has to go by the SDK.
    pub(super) async fn send_small(
        &self,
        traffic: &Traffic,
        key: &str,
        body: &Bytes,
        meta: &UploadMeta,
        if_absent: bool,
        sums: &Sums,
    ) -> Result<Option<Answer<Taken>>> {
        // Of nothing no length would be told, and Ceph wants one.
        if body.is_empty() || body.len() > SMALL || !is_plain(key) {
            return Ok(None);
        }
        if let Some(keys) = &self.keys {
            // Why there are none is told in its own words.
            keys.get().await?;
        }
        let Some(beside) = beside(meta, sums, if_absent)? else { return Ok(None) };
        let address = format!("{}{}", self.lister.address, utf8_percent_encode(key, ENCODED));
        // What parses here parses for those below, who take it for granted.
        if !url::Url::parse(&address).is_ok_and(|url| url.has_host() && url.as_str() == address) {
            return Ok(None);
        }
        Ok(Some(self.tried(Some(traffic), || self.put_small(traffic, &address, body, &beside)).await))
    }

    async fn put_small(
        &self,
        traffic: &Traffic,
        address: &str,
        body: &Bytes,
        beside: &HeaderMap,
    ) -> Result<Taken, Fault> {
        let request = http::Request::builder().method(Method::PUT).uri(address);
        let request = request.body(HttpRequestBody::from(body.clone()));
        let mut request: HttpRequest = request.map_err(|err| Fault::of_text(&err.to_string()))?;
        *request.headers_mut() = beside.clone();
        if let Some(keys) = &self.keys {
            let keys = keys.get().await.map_err(|err| Fault::of_text(&err.to_string()))?;
            signed(&mut request, &keys, &self.lister.region, false);
        }
        traffic.throttle.pass(body.len() as u64).await;
        traffic.meter.sent(body.len() as u64);
        let response = self.lister.http.execute(request).await.map_err(|err| Fault::of_text(&chain(&err)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = self.lister.refusal(traffic, response, MOST_OF_REFUSAL).await;
        if !status.is_success() {
            return Err(Fault::of_answer(status.as_u16(), &headers, &text));
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Taken {
            etag: header("etag").unwrap_or_default(),
            crc32c: header("x-amz-checksum-crc32c"),
            sha256: header("x-amz-checksum-sha256"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_parser_would_change_go_another_way() {
        for (key, plain) in
            [("a//b", true), ("/a", true), ("a/../b", false), ("./a", false), ("..", false), ("", false)]
        {
            assert_eq!(is_plain(key), plain, "{key}");
        }
    }

    #[test]
    fn what_no_header_carries_is_told() {
        let mut meta = UploadMeta { content_type: Some("text/plain".into()), ..UploadMeta::default() };
        let sums = Sums { crc32c: Some(0xe306_9283), ..Sums::default() };
        let given = beside(&meta, &sums, true).expect("metadata").expect("headers");
        let header = |name| given.get(name).and_then(|v| v.to_str().ok());
        assert_eq!(header("x-amz-checksum-crc32c"), Some("4waSgw=="));
        assert_eq!((header("if-none-match"), header("content-type")), (Some("*"), Some("text/plain")));
        meta.content_type = Some("text/plain\n".into());
        assert_eq!(beside(&meta, &sums, true).expect("metadata"), None);
    }
}
