//! The text of `jsonb`, as compact as objects are kept.

/// Copies `text` without the spaces that the engine writes after commas and colons.
pub(super) fn compact(text: &str, out: &mut String) {
    out.clear();
    out.reserve(text.len());
    let (mut start, mut in_string, mut escaped) = (0, false, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b' ' if !in_string => {
                out.push_str(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    out.push_str(&text[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spaces_between_are_removed() {
        let mut out = String::from("old");
        compact(r#"{"a b": [1, 2], "c": "x, y: \" é \\", "d": {}}"#, &mut out);
        assert_eq!(out, r#"{"a b":[1,2],"c":"x, y: \" é \\","d":{}}"#);
    }
}
