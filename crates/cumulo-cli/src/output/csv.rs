//! CSV, as RFC 4180 has it, with a line of names and lines that end as on Unix.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use csv::{ErrorKind, Writer};
use serde_json::Value;

use super::cell;
use crate::Result;

pub(super) fn rows(
    out: &mut impl Write,
    columns: &[String],
    mut rows: impl Iterator<Item = Result<Value>>,
) -> Result<()> {
    if columns.is_empty() {
        return rows.try_for_each(|row| row.map(|_| ()));
    }
    let mut writer = Writer::from_writer(out);
    writer.write_record(columns).map_err(io_error)?;
    for row in rows {
        let row = row?;
        let cells = columns.iter().map(|name| cell::text(&row, name));
        writer.write_record(cells.map(Cow::into_owned)).map_err(io_error)?;
    }
    Ok(writer.flush()?)
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
