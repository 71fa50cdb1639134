//! Patterns of URLs, such as `https://*.example.org:*/admin/*`.
//!
//! The rules are those of Kinto 26.5. What two readers of a URL could understand differently is no
//! URL here: names and passwords, spaces, odd letters in the host, dot segments.

use std::fmt;

/// A URL in which `*` stands for anything, within host, port, and the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedUrl {
    parts: Parts,
    written: String,
}

/// A URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// In lower case, without brackets.
    pub(super) host: String,
    /// In decimal digits, that of the scheme if there is none.
    pub(super) port: String,
    /// Path, query string and fragment; at least `/`.
    pub(super) rest: String,
}

impl TrustedUrl {
    /// Reads a pattern; none if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { parts: Parts::parse(text)?, written: text.to_owned() })
    }

    /// Whether this URL is one of those that are meant.
    pub fn matches(&self, url: &str) -> bool {
        let Some(parts) = Parts::parse(url) else { return false };
        let is_plain = !parts.host.contains('*') && !parts.port.contains('*');
        let trusted = &self.parts;
        is_plain
            && parts.scheme == trusted.scheme
            && wildcard(&trusted.host, &parts.host)
            && wildcard(&trusted.port, &parts.port)
            && wildcard(&trusted.rest, &parts.rest)
    }
}

impl fmt::Display for TrustedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Parts {
    /// Takes a URL apart; none if it is malformed or ambiguous.
    pub(super) fn parse(url: &str) -> Option<Self> {
        if url.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return None;
        }
        let (scheme, after) = url.split_once("://")?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", "80"),
            "https" => ("https", "443"),
            _ => return None,
        };
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let (host, port) = host_and_port(authority)?;
        if has_dot_segments(rest) {
            return None;
        }
        let port = if port.is_empty() { default_port } else { port };
        let rest = if rest.is_empty() { "/" } else { rest };
        Some(Self { scheme, host, port: port.to_owned(), rest: rest.to_owned() })
    }

    /// Whether the host is the machine itself.
    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn host_and_port(authority: &str) -> Option<(String, &str)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            let port = if after.is_empty() { "" } else { after.strip_prefix(':')? };
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-*".contains(&byte);
            host.bytes().all(is_letter).then_some((host, port))?
        }
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*');
    (!host.is_empty() && is_port).then(|| (host.to_ascii_lowercase(), port))
}

/// Whether a browser would go elsewhere than the path says.
fn has_dot_segments(rest: &str) -> bool {
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let path = rest[..end].to_ascii_lowercase().replace("%2e", ".").replace('\\', "/");
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether `text` is `pattern`, where `*` stands for anything.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_trusted(url: &str, trusted: &[&str]) -> bool {
        let patterns = trusted.iter().map(|text| TrustedUrl::parse(text).expect("a pattern"));
        { patterns }.any(|pattern| pattern.matches(url))
    }

    #[test]
    fn wildcards_stand_for_anything_in_their_part() {
        let trusted = ["https://*.example.com:*/admin/*"];
        assert!(is_trusted("https://a.example.com:8443/admin/#tokens=", &trusted));
        assert!(is_trusted("HTTPS://A.b.Example.com/admin/", &trusted));
        for url in [
            "https://a.example.com:8443/other/",
            "https://a.example.com.evil.com/admin/",
            "https://evil.com/.example.com/admin/",
            "https://evil.com?.example.com:1/admin/",
            "https://evil.com#.example.com:1/admin/",
            "http://a.example.com/admin/",
            "https://example.com/admin/",
            "https://*.example.com/admin/",
        ] {
            assert!(!is_trusted(url, &trusted), "{url}");
        }
        assert!(is_trusted("https://example.com/?a=", &["https://example.com/?a=*"]));
        assert!(!is_trusted("https://example.com/xa=", &["https://example.com/?a=*"]));
        assert!(!is_trusted("https://example.com/[a]", &["https://example.com/a"]));
    }

    #[test]
    fn the_port_of_the_scheme_can_be_left_out() {
        assert!(is_trusted("https://example.com:443/", &["https://example.com"]));
        assert!(is_trusted("https://example.com", &["https://example.com:443/"]));
        assert!(!is_trusted("https://example.com:444", &["https://example.com"]));
        assert!(!is_trusted("https://example.com", &["https://example.com/admin/"]));
        assert!(is_trusted("http://[::1]:8000/", &["http://[::1]:*/*"]));
        assert!(!is_trusted("http://[::2]:8000/", &["http://[::1]:*/*"]));
    }

    #[test]
    fn what_could_be_misunderstood_is_no_url() {
        for url in [
            "https://trusted.com@evil.com/",
            "https://evil.com\\.trusted.com/",
            "https://evil.com%2F.trusted.com/",
            "https://evil.com\t.trusted.com/",
            "https://evil.com_.trusted.com/",
            "https://@trusted.com/",
            "https://trusted.com:443:443/",
            "https://trusted.com:44x/",
            "https://[::1x]/",
            "https://[::1]trusted.com/",
            "https://[::1/",
            "https:///path",
            "javascript://trusted.com/%0aalert(1)",
            "//trusted.com/",
            "trusted.com",
            "https://trusted.com/\0",
            "https://trusted.com/a b",
            "https://trusted.com/admin/../other/",
            "https://trusted.com/admin/%2e%2E/other/",
            "https://trusted.com/admin/./other/#t=",
            "https://trusted.com/admin/..\\other/",
            "https://trusted.com/admin/..",
        ] {
            assert_eq!(Parts::parse(url), None, "{url}");
        }
        for url in [
            "https://trusted.com/admin/v1..2/file.html",
            "https://trusted.com/admin/?next=../other/",
            "https://trusted.com/admin/#t=../other/",
        ] {
            assert!(is_trusted(url, &["https://trusted.com/*"]), "{url}");
        }
    }

    #[test]
    fn a_wildcard_does_not_use_a_letter_twice() {
        for (pattern, text, fits) in [
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abc", true),
            ("a*bc*c", "abc", false),
            ("*", "", true),
            ("**", "x", true),
            ("", "", true),
            ("a", "ab", false),
        ] {
            assert_eq!(wildcard(pattern, text), fits, "{pattern} {text}");
        }
    }
}
