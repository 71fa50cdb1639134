//! What makes two stores equal: one SHA-256 over everything they hold, in a defined order.
//!
//! Values count, not their spelling: object keys are sorted and numbers are decimal fractions
//! without superfluous zeros, of any size and precision, so that an engine that keeps JSON as
//! values (PostgreSQL's `jsonb`) has the digest of one that keeps the text. List timestamps are not
//! part of it, because a list may be ahead of what it was; whoever moves checks them apart.
//!
//! The bytes are: `L`, parent, resource for each list, and after it for each of its objects and
//! tombstones, the oldest first, `O`, id, timestamp, `0` and data, number of permissions, and for
//! each its name, number of principals, principals; or `T`, id, timestamp. Then `M`, member, group
//! for each membership. Texts have their length before them; numbers are 8 bytes, the highest first.

use std::{collections::BTreeMap, ops::ControlFlow};

use cumulo_core::{
    object::{Acl, List, Row},
    store::{Membership, Transaction},
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result, mark};

/// How many lists or memberships are asked for at once.
pub(crate) const PAGE: usize = 500;

/// Takes in what a store holds.
#[derive(Clone, Default)]
pub struct Content {
    digest: Sha256,
    canonical: Vec<u8>,
}

impl Content {
    /// A list begins.
    pub fn list(&mut self, list: &List) {
        self.digest.update(b"L");
        self.text(&list.parent);
        self.text(list.resource);
    }

    /// An object or a tombstone of the list. Fails if its data is not JSON.
    pub fn entry(&mut self, row: Row<'_>, acl: &Acl) -> serde_json::Result<()> {
        self.digest.update(if row.deleted { b"T" } else { b"O" });
        self.text(row.id);
        self.digest.update(row.last_modified.0.to_be_bytes());
        if row.deleted {
            return Ok(());
        }
        self.canonical.clear();
        canonical(row.data, &mut self.canonical)?;
        self.number(self.canonical.len());
        self.digest.update(&self.canonical);
        self.number(acl.0.len());
        for (permission, principals) in &acl.0 {
            self.text(permission);
            self.number(principals.len());
            principals.iter().for_each(|principal| self.text(principal));
        }
        Ok(())
    }

    /// A membership.
    pub fn membership(&mut self, membership: &Membership) {
        self.digest.update(b"M");
        self.text(&membership.member);
        self.text(&membership.group);
    }

    /// The digest of all, as 64 hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.digest.finalize())
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.digest.update(text);
    }

    fn number(&mut self, number: usize) {
        self.digest.update((number as u64).to_be_bytes());
    }
}

/// The digest of all that a store holds. `visited` is told of each object and tombstone.
pub fn of_store(
    tx: &mut dyn Transaction,
    visited: &dyn Fn(),
) -> cumulo_core::store::Result<Result<String>> {
    let mut content = Content::default();
    let mut after = None;
    loop {
        let page = tx.lists(after.as_ref(), PAGE)?;
        for (list, _) in page.iter().filter(|(list, _)| !mark::is_mark(list)) {
            content.list(list);
            let mut damaged = None;
            tx.entries(list, None, &mut |row, acl| {
                visited();
                if let Err(error) = content.entry(row, acl) {
                    damaged = Some(damage(list, row.id, &error));
                    return Ok(ControlFlow::Break(()));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if let Some(error) = damaged {
                return Ok(Err(error));
            }
        }
        let Some((last, _)) = page.into_iter().last() else { break };
        after = Some(last);
    }
    let mut after = None;
    loop {
        let page = tx.memberships(after.as_ref(), PAGE)?;
        page.iter().for_each(|membership| content.membership(membership));
        let Some(last) = page.into_iter().last() else { break };
        after = Some(last);
    }
    Ok(Ok(content.finish()))
}

/// The error of an object that is not JSON.
pub(crate) fn damage(list: &List, id: &str, error: &serde_json::Error) -> Error {
    Error::Object { parent: list.parent.clone(), id: id.to_owned(), reason: error.to_string() }
}

/// Appends a JSON value such that equal values are equal bytes.
pub(crate) fn canonical(json: &str, out: &mut Vec<u8>) -> serde_json::Result<()> {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => {
            let map: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
            out.push(b'{');
            for (name, value) in map {
                text(&name, out);
                canonical(value.get(), out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            out.push(b'[');
            items.iter().try_for_each(|item| canonical(item.get(), out))?;
            out.push(b']');
        }
        Some(b'"') => text(&serde_json::from_str::<String>(json)?, out),
        Some(b'-' | b'0'..=b'9') => decimal(serde_json::from_str::<&RawValue>(json)?.get(), out),
        _ => {
            let word: serde_json::Value = serde_json::from_str(json)?;
            out.extend_from_slice(word.to_string().as_bytes());
        }
    }
    Ok(())
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A number, spelled by JSON's rules, as its sign, its digits without zeros at either end, and the
/// power of ten of the last digit.
fn decimal(number: &str, out: &mut Vec<u8>) {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (b'-', rest),
        None => (b'+', number),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let short = digits.trim_end_matches('0');
    let significant = short.trim_start_matches('0');
    if significant.is_empty() {
        out.extend_from_slice(b"+0");
        return;
    }
    let exponent: i128 = exponent.parse().unwrap_or_default();
    let moved = digits.len() as i128 - short.len() as i128 - fraction.len() as i128;
    out.push(sign);
    out.extend_from_slice(significant.as_bytes());
    out.extend_from_slice(format!("e{}", exponent.saturating_add(moved)).as_bytes());
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    pairs.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<u8> {
        let mut out = Vec::new();
        canonical(json, &mut out).unwrap();
        out
    }

    #[test]
    fn equal_values_are_equal_bytes() {
        for (one, other) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("100", "1e2"),
            ("0", "-0.00e7"),
            ("0.5", "5E-1"),
            ("1e300", &format!("1{}", "0".repeat(300))),
            ("-12.50", "-1.25E+1"),
            ("12345678901234567890123", "12345678901234567890123.0"),
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ], "a" : 1.0 } "#),
            (r#""é\n""#, r#""\u00e9\u000a""#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn other_values_are_other_bytes() {
        let values = [
            "1",
            "-1",
            "10",
            "1.1",
            "11",
            "0",
            "1e-1",
            "true",
            "false",
            "null",
            "[]",
            "{}",
            r#""""#,
            r#""1""#,
            r#"["1"]"#,
            "[1]",
            "[1,1]",
            "[[1],1]",
            "[1,[1]]",
            r#"{"a":1}"#,
            r#"{"a":[1]}"#,
            r#"["a",1]"#,
            "12345678901234567890123",
            "12345678901234567890124",
            "0.1",
            "0.10000000000000000001",
            r#"{"a":{"b":1}}"#,
            r#"{"a":{},"b":1}"#,
        ];
        for (n, one) in values.iter().enumerate() {
            for other in &values[n + 1..] {
                if (*one, *other) != ("1e-1", "0.1") {
                    assert_ne!(of(one), of(other), "{one} {other}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in ["", "{", "{]", "01x", "nul", "\"", "[1"] {
            assert!(canonical(text, &mut Vec::new()).is_err(), "{text}");
        }
    }
}
