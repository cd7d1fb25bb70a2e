//! A web server as a store that can only be read. The key is the rest of the address as it was
//! written, query and all, so that signed links work.
//!
//! `object_store` has one for `WebDAV`; it escapes `?` and answers a range that the server ignored
//! with an error.

use super::rawkey;
use crate::location::Scheme;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, coalesce_ranges,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

mod multipart;

/// A request is sent at most so often.
const TRIES: u32 = 3;

/// Only what cannot stand in an address is escaped: the rest is as the user wrote it.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}').add(b'#');

/// Stands among the attributes of an answer to a range that was not one: the server has sent everything.
const WHOLE: &str = "secchi-whole";

/// Whether a web server has answered a range with everything it has.
pub(crate) fn is_whole(attributes: &Attributes) -> bool {
    attributes.get(&Attribute::Metadata(WHOLE.into())).is_some()
}

/// Among the extensions of [`GetOptions`]: asks a web server for several ranges by one request, in ascending
/// order. What comes is their bytes, one after the other. Servers that do not know it give
/// [`object_store::Error::NotSupported`], other stores do not look at it.
#[derive(Clone, Debug)]
pub(crate) struct Several(pub(crate) Vec<Range<u64>>);

/// Stands among the attributes of an answer from a server that is known not to answer several ranges at once.
const SINGLE: &str = "secchi-single";

/// Headers of object storage behind a web address: it answers several ranges with the whole object.
const OBJECT_STORAGE: [&str; 4] = ["x-amz-request-id", "x-goog-generation", "x-guploader-uploadid", "x-ms-request-id"];

/// Whether [`Several`] is known to be in vain at the server that gave this answer.
pub(crate) fn is_single(attributes: &Attributes) -> bool {
    is_whole(attributes) || attributes.get(&Attribute::Metadata(SINGLE.into())).is_some()
}

/// One web server.
pub(super) struct Web {
    client: HttpClient,
    scheme: Scheme,
    authority: String,
}

impl Web {
    pub(super) fn new(client: HttpClient, scheme: Scheme, authority: &str) -> Self {
        Self { client, scheme, authority: authority.to_owned() }
    }

    fn url(&self, path: &Path) -> String {
        let key = rawkey::to_key(self.scheme, path);
        format!("{}://{}/{}", self.scheme.as_str(), self.authority, utf8_percent_encode(&key, UNSAFE))
    }

    async fn send(
        &self,
        method: &Method,
        url: &str,
        options: &GetOptions,
        range: Option<String>,
    ) -> Result<HttpResponse> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.client.execute(request(method, url, options, range.as_deref())?).await;
            let again = match &answer {
                Ok(response) => matches!(response.status().as_u16(), 429 | 500 | 502 | 503 | 504),
                Err(err) => matches!(err.kind(), HttpErrorKind::Request | HttpErrorKind::Interrupted),
            };
            if again && tries < TRIES {
                tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                continue;
            }
            return answer.map_err(generic);
        }
    }

    /// Several ranges by one request (RFC 9110, 14.6): the parts of a `multipart/byteranges`, put together.
    async fn several(&self, location: &Path, options: &GetOptions, ranges: &[Range<u64>]) -> Result<GetResult> {
        let list: Vec<String> = ranges.iter().map(|r| format!("{}-{}", r.start, r.end.saturating_sub(1))).collect();
        let range = format!("bytes={}", list.join(","));
        let response = self.send(&Method::GET, &self.url(location), options, Some(range)).await?;
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            return Err(refused(location, parts.status));
        }
        let kind = text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default();
        // The body of any other answer is the whole object: it is not read.
        let boundary = multipart::boundary(&kind).filter(|_| parts.status == StatusCode::PARTIAL_CONTENT);
        let boundary = boundary.ok_or_else(not_several)?;
        let wanted: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        let most = wanted + (ranges.len() as u64 + 1) * multipart::MOST_HEADER;
        let mut received = Vec::new();
        let mut stream = body.bytes_stream();
        while let Some(chunk) = stream.next().await {
            received.extend_from_slice(&chunk.map_err(generic)?);
            if received.len() as u64 > most {
                return Err(not_several());
            }
        }
        let whole = multipart::assemble(&Bytes::from(received), &boundary, ranges).ok_or_else(not_several)?;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: DateTime::UNIX_EPOCH,
            size: whole.len() as u64,
            e_tag: text(&parts.headers, &header::ETAG),
            version: None,
        };
        let stream = futures::stream::iter([Ok(whole)]).boxed();
        let payload = GetResultPayload::Stream(stream);
        Ok(GetResult { payload, range: 0..meta.size, meta, attributes: Attributes::default() })
    }

    /// Asks for the head alone; servers that refuse it (signed links do) are asked for one byte.
    async fn head(&self, url: &str, options: &GetOptions) -> Result<HttpResponse> {
        let response = self.send(&Method::HEAD, url, options, None).await?;
        if matches!(response.status().as_u16(), 403 | 405 | 501) {
            return self.send(&Method::GET, url, options, Some("bytes=0-0".to_owned())).await;
        }
        Ok(response)
    }
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "web", source: Box::new(source) }
}

fn request(method: &Method, url: &str, options: &GetOptions, range: Option<&str>) -> Result<HttpRequest> {
    let mut builder = http::Request::builder().method(method.clone()).uri(url);
    let date = |at: &DateTime<Utc>| at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (name, value) in [
        (header::RANGE, range.map(str::to_owned)),
        (header::IF_MATCH, options.if_match.clone()),
        (header::IF_NONE_MATCH, options.if_none_match.clone()),
        (header::IF_MODIFIED_SINCE, options.if_modified_since.as_ref().map(date)),
        (header::IF_UNMODIFIED_SINCE, options.if_unmodified_since.as_ref().map(date)),
    ] {
        if let Some(value) = value {
            builder = builder.header(name, value);
        }
    }
    builder.body(HttpRequestBody::empty()).map_err(generic)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
}

/// `bytes 0-99/1234`: start, end (exclusive) and size of the whole.
fn content_range(headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    let value = text(headers, &header::CONTENT_RANGE)?;
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    Some((start.parse().ok()?..end.parse::<u64>().ok()?.checked_add(1)?, size.parse().ok()?))
}

fn refused(path: &Path, status: StatusCode) -> object_store::Error {
    let source: Box<dyn std::error::Error + Send + Sync> =
        format!("Server returned non-2xx status code: {} ", status.as_u16()).into();
    let path = path.to_string();
    match status.as_u16() {
        304 => object_store::Error::NotModified { path, source },
        401 => object_store::Error::Unauthenticated { path, source },
        403 => object_store::Error::PermissionDenied { path, source },
        404 | 410 => object_store::Error::NotFound { path, source },
        412 => object_store::Error::Precondition { path, source },
        _ => object_store::Error::Generic { store: "web", source },
    }
}

fn only_read() -> object_store::Error {
    super::metered::not_supported(crate::error::Error::unsupported("a web server can only be read"))
}

fn not_several() -> object_store::Error {
    let why = "the server does not answer several ranges at once";
    super::metered::not_supported(crate::error::Error::unsupported(why))
}

fn not_listed() -> object_store::Error {
    super::metered::not_supported(crate::error::Error::unsupported("a web server cannot be listed"))
}

/// What the body of a response holds of the object: where it begins, and the size of the whole.
fn extent(status: StatusCode, headers: &HeaderMap) -> (u64, Option<u64>) {
    if status == StatusCode::PARTIAL_CONTENT
        && let Some((range, size)) = content_range(headers)
    {
        return (range.start, Some(size));
    }
    (0, text(headers, &header::CONTENT_LENGTH).and_then(|v| v.parse().ok()))
}

/// The bytes `wanted` of a body that begins at `start` of the object: servers that ignore a range
/// send everything.
fn cut(
    body: BoxStream<'static, std::result::Result<Bytes, HttpError>>,
    start: u64,
    wanted: Range<u64>,
) -> BoxStream<'static, Result<Bytes>> {
    futures::stream::unfold((body, start), move |(mut body, at)| {
        let wanted = wanted.clone();
        async move {
            let mut at = at;
            while at < wanted.end {
                let bytes = match body.next().await? {
                    Ok(bytes) => bytes,
                    Err(err) => return Some((Err(generic(err)), (futures::stream::empty().boxed(), wanted.end))),
                };
                let length = bytes.len() as u64;
                let from = wanted.start.saturating_sub(at).min(length);
                let to = wanted.end.saturating_sub(at).min(length);
                at = at.saturating_add(length);
                if from < to {
                    return Some((Ok(bytes.slice(from as usize..to as usize)), (body, at)));
                }
            }
            None
        }
    })
    .boxed()
}

impl fmt::Display for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Web({})", self.authority)
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Web {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(only_read())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(only_read())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(Several(ranges)) = options.extensions.get() {
            return self.several(location, &options, ranges).await;
        }
        let url = self.url(location);
        let response = if options.head {
            self.head(&url, &options).await?
        } else {
            let range = options.range.as_ref().map(|range| match range {
                GetRange::Bounded(r) => format!("bytes={}-{}", r.start, r.end.saturating_sub(1)),
                GetRange::Offset(start) => format!("bytes={start}-"),
                GetRange::Suffix(n) => format!("bytes=-{n}"),
            });
            self.send(&Method::GET, &url, &options, range).await?
        };
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            return Err(refused(location, parts.status));
        }
        let (start, known) = extent(parts.status, &parts.headers);
        // Without a length only the whole body tells the size.
        let (size, body) = match known {
            Some(size) => (size, body.bytes_stream()),
            None if options.head => (0, body.bytes_stream()),
            None => {
                let chunks: Vec<_> = body.bytes_stream().collect().await;
                let mut whole = Vec::new();
                for chunk in chunks {
                    whole.extend_from_slice(&chunk.map_err(generic)?);
                }
                (whole.len() as u64, futures::stream::iter([Ok(Bytes::from(whole))]).boxed())
            }
        };
        let range = match &options.range {
            Some(range) if !options.head => range.as_range(size).map_err(|_| object_store::Error::Generic {
                store: "web",
                source: "Server returned non-2xx status code: 416 ".into(),
            })?,
            _ => 0..size,
        };
        let mut attributes = Attributes::default();
        if let Some(kind) = text(&parts.headers, &header::CONTENT_TYPE) {
            attributes.insert(Attribute::ContentType, kind.into());
        }
        if options.range.is_some() && !options.head && parts.status != StatusCode::PARTIAL_CONTENT {
            attributes.insert(Attribute::Metadata(WHOLE.into()), "true".into());
        }
        if OBJECT_STORAGE.iter().any(|name| parts.headers.contains_key(*name)) {
            attributes.insert(Attribute::Metadata(SINGLE.into()), "true".into());
        }
        let last_modified = text(&parts.headers, &header::LAST_MODIFIED)
            .and_then(|v| DateTime::parse_from_rfc2822(&v).ok())
            .map_or(DateTime::UNIX_EPOCH, |v| v.to_utc());
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified,
            size,
            e_tag: text(&parts.headers, &header::ETAG),
            version: None,
        };
        let stream = if options.head { futures::stream::empty().boxed() } else { cut(body, start, range.clone()) };
        Ok(GetResult { payload: GetResultPayload::Stream(stream), meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let one =
            |range| async { self.get_opts(location, GetOptions::new().with_range(Some(range))).await?.bytes().await };
        coalesce_ranges(ranges, one, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        futures::stream::iter([Err(only_read())]).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::iter([Err(not_listed())]).boxed()
    }

    fn list_with_offset(&self, _: Option<&Path>, _: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::iter([Err(not_listed())]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(not_listed())
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(only_read())
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        Err(only_read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ignored_range_is_cut_from_the_whole_body() {
        let body = futures::stream::iter(["0123", "4567", "89"].map(|s| Ok(Bytes::from(s)))).boxed();
        let chunks: Vec<Bytes> = cut(body, 0, 3..9).map(|c| c.expect("bytes")).collect().await;
        assert_eq!(chunks.concat(), b"345678");
    }

    #[test]
    fn ranges_of_answers_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_RANGE, "bytes 2-5/10".parse().expect("value"));
        assert_eq!(content_range(&headers), Some((2..6, 10)));
        headers.insert(header::CONTENT_RANGE, "bytes 2-18446744073709551615/10".parse().expect("value"));
        assert_eq!(content_range(&headers), None);
    }
}
