//! Answers that servers, or what stands before them, have compressed.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

/// The coding that is asked for and understood.
pub(super) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// The body as it was before it was compressed. The error is `FileTooLarge` beyond `limit` bytes.
pub(super) fn decode(headers: &mut HeaderMap, body: Bytes, limit: usize) -> io::Result<Bytes> {
    if body.is_empty() || headers.get(CONTENT_ENCODING).is_none_or(|it| it != "gzip") {
        return Ok(body);
    }
    let mut plain = Vec::new();
    // No larger body is made than is accepted, however well it was compressed.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(&*body).take(most).read_to_end(&mut plain)?;
    if plain.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    headers.remove(CONTENT_ENCODING);
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn compressed(body: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))])
    }

    #[test]
    fn bodies_are_what_they_were() {
        let mut named = headers();
        assert_eq!(decode(&mut named, compressed(b"{}"), 2).unwrap(), "{}");
        assert!(named.is_empty(), "it is not compressed any more");
        assert_eq!(decode(&mut headers(), Bytes::new(), 2).unwrap(), "", "as of HEAD");
        assert_eq!(decode(&mut HeaderMap::new(), "{}".into(), 2).unwrap(), "{}");
    }

    #[test]
    fn no_more_is_made_of_a_body_than_is_accepted() {
        let long = compressed(&vec![0; 1 << 20]);
        let error = decode(&mut headers(), long.clone(), 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(decode(&mut headers(), long, usize::MAX).is_ok());
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let body = compressed(b"[1, 2, 3]");
        for body in [body.slice(..body.len() - 4), "{}".into()] {
            assert!(decode(&mut headers(), body, 1000).is_err());
        }
    }
}
