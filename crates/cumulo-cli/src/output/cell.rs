//! What stands in one cell.

use std::borrow::Cow;

use serde_json::Value;

/// The field with this name, or the one that a name with dots leads to.
pub(super) fn find<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        find(object.get(first)?, rest)
    })
}

/// A field as text: lists and objects as compact JSON, nothing for `null` and what is not there.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Cow<'a, str> {
    match find(object, name) {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// Text that stays on its line, and can't command the terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that turn the direction of text.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_with_dots_lead_inside() {
        let object = json!({"a": {"b": {"c": 1}}, "a.b": 2, "d": [1, {"e": null}], "n": null});
        for (name, expected) in [
            ("a.b", "2"),
            ("a.b.c", "1"),
            ("a", r#"{"b":{"c":1}}"#),
            ("d", r#"[1,{"e":null}]"#),
            ("n", ""),
            ("x.y", ""),
        ] {
            assert_eq!(text(&object, name), expected, "{name}");
        }
    }

    #[test]
    fn text_can_not_command_the_terminal() {
        assert_eq!(printable("a\nb\u{1b}[2J\u{9b}c\u{202e}"), "a\\nb\\u{1b}[2J\\u{9b}c\\u{202e}");
        assert_eq!(printable("é 漢字"), "é 漢字");
    }
}
