//! The reference page of the settings, in Markdown.

use std::fmt::Write as _;

use super::{FAMILIES, KEYS, Key, families::Family, listeners::PARAMETERS};

const INTRODUCTION: &str = "\
# Settings

<!-- Made by `cumulo settings`. Change the table in crates/cumulo-core/src/settings/mod.rs. -->

Settings are read from the section `[app:main]` of an INI file, then from the environment, which
wins. Names are those of Kinto: `kinto.paginate_by`, `cumulo.paginate_by` and `paginate_by` are the
same setting. In the environment it is `CUMULO_PAGINATE_BY` or `KINTO_PAGINATE_BY`; dots and
hyphens become underscores. Every setting can come from the environment alone.

A wrong value keeps the service from starting, and all of them are reported at once. A name that
does not exist is warned of. Lists are separated by spaces or new lines. Yes is `true`, `yes`,
`on`, `y`, `t` or `1`; no is `false`, `no`, `off`, `n`, `f` or `0`.
";

const FAMILIES_INTRODUCTION: &str = "
## Families

The names of these settings are made of parts. The resources are `bucket`, `collection`, `group` and
`record`.
";

/// Every setting with its documentation, type and default, as a page in Markdown.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(page, "\n## {section}\n");
        }
        describe(&mut page, key);
    }
    page.push_str("\n## Event listeners\n");
    describe_all(&mut page, PARAMETERS);
    page.push_str(FAMILIES_INTRODUCTION);
    describe_all(&mut page, FAMILIES);
    page
}

fn describe_all(page: &mut String, families: &[Family]) {
    for family in families {
        let values = match family.default {
            "" => format!("Takes {}.", family.expects),
            default => format!("Takes {}. Default: {default}.", family.expects),
        };
        entry(page, family.pattern, family.docs, &values);
    }
}

fn describe(page: &mut String, key: &Key) {
    let docs: Vec<_> = key.docs.iter().map(|line| line.trim()).collect();
    let mut values = format!("Takes {}", (key.expects)());
    if let Some(range) = (key.range)() {
        let _ = write!(values, ", from {} to {}", range.start(), range.end());
    }
    match (key.default)().as_str() {
        "" => values.push_str(". Default: nothing."),
        default => {
            let _ = write!(values, ". Default: `{default}`.");
        }
    }
    entry(page, key.name, &docs.join("\n"), &values);
}

fn entry(page: &mut String, name: &str, docs: &str, values: &str) {
    let _ = write!(page, "\n### `{name}`\n\n{docs}\n\n{values}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_on_the_page_once() {
        let page = reference();
        let patterns = FAMILIES.iter().chain(PARAMETERS).map(|family| family.pattern);
        for name in KEYS.iter().map(|key| key.name).chain(patterns) {
            assert_eq!(page.matches(&format!("### `{name}`\n")).count(), 1, "{name}");
        }
    }

    #[test]
    fn limits_and_defaults_are_on_the_page() {
        let page = reference();
        assert!(page.contains("Takes a whole number, from 4 to 100. Default: `64`."));
        assert!(page.contains("Takes a whole number or nothing. Default: nothing."));
    }
}
