//! Names of objects.

/// Whether `id` can name an object: letters, digits, `-` and `_`, beginning with a letter or digit.
pub fn is_name(id: &str) -> bool {
    let mut bytes = id.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_a_letter_or_digit() {
        for name in ["a", "0", "my-blog_2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "_a", "a b", "a/b", "é", "a."] {
            assert!(!is_name(name), "{name}");
        }
    }
}
