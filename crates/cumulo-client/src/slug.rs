//! Ids made of titles.

use cumulo_wire::is_name;
use unicode_normalization::UnicodeNormalization as _;

/// An id that resembles a text: `Hello, World!` becomes `hello-world`, and what is an id already
/// stays as it is. `None` if nothing is left of it.
///
/// Letters lose their accents; those of other scripts than Latin are left out. Nothing in this crate
/// changes an id by itself, because two texts may become the same id: where that matters, let ids
/// be made by [`Resource::create`](crate::Resource::create), and keep the title in the data.
///
/// ```
/// use cumulo_client::slugify;
///
/// assert_eq!(slugify("Crème brûlée, twice").as_deref(), Some("creme-brulee-twice"));
/// assert_eq!(slugify("my_Blog-2").as_deref(), Some("my_Blog-2"));
/// assert_eq!(slugify("?!"), None);
/// ```
pub fn slugify(text: &str) -> Option<String> {
    if is_name(text) {
        return Some(text.to_owned());
    }
    let mut slug = String::new();
    for c in text.nfkd() {
        if c.is_ascii_alphanumeric() || (c == '_' && !slug.is_empty()) {
            slug.push(c.to_ascii_lowercase());
        } else if (c.is_whitespace() || c == '-') && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    is_name(&slug).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_ids() {
        for (text, expected) in [
            ("Hello World", Some("hello-world")),
            ("  -- _a - b_  ", Some("a-b_")),
            ("Ünïcode 2.0", Some("unicode-20")),
            ("ﬁne", Some("fine")),
            ("UPPER", Some("UPPER")),
            ("a/b", Some("ab")),
            ("日本", None),
            ("", None),
        ] {
            assert_eq!(slugify(text).as_deref(), expected, "{text}");
        }
    }
}
