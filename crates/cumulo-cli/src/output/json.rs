//! JSON: one object over several lines, a list, or an object on each line.

use std::io::Write;

use serde_json::Value;

use super::chosen;
use crate::Result;

pub(super) fn pretty(out: &mut impl Write, object: &Value) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, object).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

pub(super) fn lines(
    out: &mut impl Write,
    rows: impl Iterator<Item = Result<Value>>,
    columns: &[String],
) -> Result<()> {
    for row in rows {
        writeln!(out, "{}", chosen(row?, columns))?;
    }
    Ok(())
}

pub(super) fn list(
    out: &mut impl Write,
    rows: impl Iterator<Item = Result<Value>>,
    columns: &[String],
) -> Result<()> {
    let mut before = "[\n";
    for row in rows {
        write!(out, "{before}{}", chosen(row?, columns))?;
        before = ",\n";
    }
    let end = if before == ",\n" { "\n]" } else { "[]" };
    Ok(writeln!(out, "{end}")?)
}
