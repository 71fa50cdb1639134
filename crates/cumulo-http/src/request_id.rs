//! The name of the request that is being answered, for every line of the log.

use cumulo_core::request::REQUEST_ID;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The most characters of a name that comes from outside.
const LONGEST: usize = 128;

/// The name that the client, or a proxy, has given the request; a new one if it has none, or one
/// that is not fit to be shown.
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(given) if is_fit(given.as_bytes()) => given.clone(),
        _ => new(),
    }
}

fn is_fit(name: &[u8]) -> bool {
    let fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(byte);
    !name.is_empty() && name.len() <= LONGEST && name.iter().all(fit)
}

/// A random UUID: nobody is let in by it, so it need not come from the system.
fn new() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)).expect("ASCII")
}

/// Runs `future` as a part of answering the request with this name.
pub(crate) async fn scope<T>(id: HeaderValue, future: impl Future<Output = T>) -> T {
    CURRENT.scope(id, future).await
}

/// The name of the request that this task answers; to hand it on to another task.
pub(crate) fn current() -> HeaderValue {
    CURRENT.try_with(Clone::clone).unwrap_or_else(|_| new())
}

/// Calls `show` with the name of the request that this task answers, if it answers one.
pub fn with(show: impl FnOnce(&str)) {
    let _ = CURRENT.try_with(|id| show(id.to_str().unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &'static [u8]) -> HeaderValue {
        let value = HeaderValue::from_bytes(text).unwrap();
        of(&HeaderMap::from_iter([(REQUEST_ID, value)]))
    }

    #[test]
    fn a_good_name_is_kept() {
        assert_eq!(given(b"a-1.b:2/c=="), "a-1.b:2/c==");
    }

    #[test]
    fn others_get_a_new_one() {
        let long = vec![b'x'; LONGEST + 1].leak();
        for bad in [b"".as_slice(), b"a b", b"a\tb", b"\xff", b"<script>", &*long] {
            assert!(Uuid::parse_str(given(bad).to_str().unwrap()).is_ok(), "{bad:?}");
        }
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
