//! Statements with their parameters, and rows, as the protocol has them.
//!
//! Everything is sent and received in binary format (chapter "Frontend/Backend Protocol" of the
//! manual of PostgreSQL; the formats are those of the types' `send` functions).

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use cumulo_core::{
    object::Timestamp,
    store::{Error, Result},
};

use crate::run::internal;

/// A statement to run.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) sql: Cow<'static, str>,
    pub(super) params: Vec<Param>,
}

impl Command {
    pub(super) fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Param>) -> Self {
        Self { sql: sql.into(), params }
    }

    /// How much memory its parameters take, roughly.
    pub(super) fn size(&self) -> usize {
        self.params.iter().map(Param::size).sum()
    }
}

/// A value, with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Param {
    /// `text`
    Text(String),
    /// `text[]`
    Texts(Vec<String>),
    /// `jsonb`, as text
    Json(String),
    /// `jsonb[]`, as texts
    Jsons(Vec<String>),
    /// `timestamp` without time zone, in UTC
    Time(Timestamp),
    /// `bigint`
    Int(i64),
    /// No `bigint`
    Null,
    /// `boolean`
    Bool(bool),
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Param {
    /// The object identifier of its type, as in the catalog `pg_type`.
    pub(super) fn oid(&self) -> u32 {
        match self {
            Self::Bool(_) => 16,
            Self::Int(_) | Self::Null => 20,
            Self::Text(_) => 25,
            Self::Texts(_) => 1009,
            Self::Time(_) => 1114,
            Self::Json(_) => 3802,
            Self::Jsons(_) => 3807,
        }
    }

    fn size(&self) -> usize {
        let all = |texts: &Vec<String>| texts.iter().map(String::len).sum();
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Texts(texts) | Self::Jsons(texts) => all(texts),
            Self::Time(_) | Self::Int(_) | Self::Bool(_) | Self::Null => 8,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Null => {}
            Self::Int(number) => out.put_i64(*number),
            Self::Bool(flag) => out.put_u8(u8::from(*flag)),
            Self::Time(time) => out.put_i64(micros(*time)),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Json(text) => write_json(text, out),
            Self::Texts(texts) => write_array(25, texts, out, |text, out| {
                out.put_slice(text.as_bytes());
            }),
            Self::Jsons(texts) => write_array(3802, texts, out, write_json),
        }
    }
}

fn write_json(text: &str, out: &mut BytesMut) {
    const VERSION: u8 = 1;
    out.put_u8(VERSION);
    out.put_slice(text.as_bytes());
}

fn write_array(
    oid: u32,
    texts: &[String],
    out: &mut BytesMut,
    write: impl Fn(&str, &mut BytesMut),
) {
    let dimensions = i32::from(!texts.is_empty());
    out.put_i32(dimensions);
    out.put_i32(0);
    out.put_u32(oid);
    if texts.is_empty() {
        return;
    }
    out.put_i32(length(texts.len()));
    out.put_i32(1);
    for text in texts {
        let start = out.len();
        out.put_i32(0);
        write(text, out);
        let size = length(out.len() - start - 4);
        out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }
}

fn length(length: usize) -> i32 {
    i32::try_from(length).expect("bodies of requests are far smaller than 2 GiB")
}

/// Microseconds since 2000-01-01: what the engine counts in.
fn micros(time: Timestamp) -> i64 {
    time.0.saturating_mul(1000).saturating_sub(EPOCH)
}

/// 2000-01-01 in microseconds since 1970-01-01.
const EPOCH: i64 = 946_684_800_000_000;

/// A row, read from its first column to its last.
pub(super) struct Row<'a> {
    rest: &'a [u8],
}

impl<'a> Row<'a> {
    /// `columns` is what follows the number of columns in a message `DataRow`.
    pub(super) fn new(columns: &'a [u8]) -> Self {
        Self { rest: columns }
    }

    /// The next column; `None` for null.
    fn bytes(&mut self) -> Result<Option<&'a [u8]>> {
        let (length, rest) = self.rest.split_first_chunk().ok_or_else(unexpected)?;
        self.rest = rest;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Ok(None) };
        let (value, rest) = self.rest.split_at_checked(length).ok_or_else(unexpected)?;
        self.rest = rest;
        Ok(Some(value))
    }

    fn value(&mut self) -> Result<&'a [u8]> {
        self.bytes()?.ok_or_else(unexpected)
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.value()?).map_err(|_| unexpected())
    }

    /// Passes over a column.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.bytes().map(drop)
    }

    pub(super) fn owned(&mut self) -> Result<String> {
        self.text().map(str::to_owned)
    }

    /// The text of a `jsonb`.
    pub(super) fn json(&mut self) -> Result<&'a str> {
        self.optional_json()?.ok_or_else(unexpected)
    }

    pub(super) fn optional_json(&mut self) -> Result<Option<&'a str>> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        let (_version, text) = bytes.split_first().ok_or_else(unexpected)?;
        std::str::from_utf8(text).map(Some).map_err(|_| unexpected())
    }

    pub(super) fn bool(&mut self) -> Result<bool> {
        Ok(self.value()? != [0])
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        let bytes = self.value()?.try_into().map_err(|_| unexpected())?;
        Ok(i64::from_be_bytes(bytes))
    }

    /// A `timestamp`, to the nearest millisecond.
    pub(super) fn time(&mut self) -> Result<Timestamp> {
        self.optional_time()?.ok_or_else(unexpected)
    }

    pub(super) fn optional_time(&mut self) -> Result<Option<Timestamp>> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| unexpected())?);
        Ok(Some(Timestamp(micros.saturating_add(EPOCH).saturating_add(500).div_euclid(1000))))
    }
}

fn unexpected() -> Error {
    internal("a column is not what the statement asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back() {
        for millis in [0, -1, 1, 1_700_000_000_123, -62_135_596_800_000, 253_402_300_799_999] {
            let mut column = 8_i32.to_be_bytes().to_vec();
            column.extend(micros(Timestamp(millis)).to_be_bytes());
            assert_eq!(Row::new(&column).time().unwrap(), Timestamp(millis));
        }
    }

    #[test]
    fn damaged_rows_are_errors() {
        assert!(Row::new(&[]).text().is_err());
        assert!(Row::new(&[0, 0, 0, 9, 1]).text().is_err());
        assert!(Row::new(&[0, 0, 0, 1, 255]).text().is_err());
        assert!(Row::new(&[255, 255, 255, 255]).text().is_err());
        assert!(Row::new(&[0, 0, 0, 1, 1]).time().is_err());
    }
}
