//! Objects in files: JSON, lines of JSON, and CSV, read one by one.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    thread::{self, JoinHandle},
};

use serde::{
    Deserializer as _,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::{Deserializer, Map, Value};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{Error, Result};

/// How many objects are read ahead.
const AHEAD: usize = 1_000;

/// How objects stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A list in JSON, or objects one after the other
    Json,
    /// An object on each line
    Ndjson,
    /// Comma-separated values with a line of names
    Csv,
}

impl Kind {
    /// What the name of a file tells.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// How the cells of CSV are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    /// Numbers, `true`, `false`, `null`, lists and objects as JSON, others as text.
    Guessed,
    /// All as text.
    Text,
}

/// The objects of a file, as a thread of its own reads them.
pub(crate) struct Rows {
    /// They, in their order.
    pub(crate) receiver: Receiver<Value>,
    pub(crate) reading: Reading,
}

/// The thread that reads a file.
pub(crate) struct Reading {
    thread: JoinHandle<Result<(), String>>,
    name: String,
}

impl Rows {
    /// Begins to read. `name` is told in errors.
    pub(crate) fn read(
        source: impl Read + Send + 'static,
        name: String,
        kind: Kind,
        cells: Cells,
    ) -> Self {
        let (sender, receiver) = channel(AHEAD);
        let thread = thread::spawn(move || {
            let mut output = Output { sender, number: 0 };
            match kind {
                Kind::Csv => read_csv(source, cells, &mut output),
                Kind::Json => read_json(source, &mut output, one_after_the_other),
                Kind::Ndjson => read_json(source, &mut output, each_line),
            }
        });
        Self { receiver, reading: Reading { thread, name } }
    }
}

impl Reading {
    /// Tells why the objects ended before the file did. The receiver must have come to its end, or
    /// be gone.
    pub(crate) fn check(self) -> Result<()> {
        let name = self.name;
        match self.thread.join() {
            Ok(read) => read.map_err(|problem| Error::Input(format!("{name}: {problem}"))),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Where objects go that were read.
struct Output {
    sender: Sender<Value>,
    number: u64,
}

impl Output {
    /// Whether somebody wants more.
    fn send(&mut self, row: Value) -> Result<bool, String> {
        self.number += 1;
        if !row.is_object() {
            return Err(format!("number {} is not an object", self.number));
        }
        Ok(self.sender.blocking_send(row).is_ok())
    }
}

/// A list, or objects as `read` reads them.
fn read_json<R: Read>(
    source: R,
    output: &mut Output,
    read: fn(Lines<R>, &mut Output) -> Result<(), String>,
) -> Result<(), String> {
    let mut lines = Lines { reader: BufReader::with_capacity(1 << 16, source), before: 0 };
    let first = first_byte(&mut lines).map_err(|error| error.to_string())?;
    if first != Some(b'[') {
        return read(lines, output);
    }
    let before = lines.before;
    let mut deserializer = Deserializer::from_reader(lines.reader);
    let read = deserializer.deserialize_seq(Each(output)).and_then(|()| deserializer.end());
    read.map_err(|error| placed(&error, before))
}

/// What is read, and how many lines were before it.
struct Lines<R> {
    reader: BufReader<R>,
    before: usize,
}

/// An object on each line, so that mistakes are found where they are.
fn each_line<R: Read>(mut lines: Lines<R>, output: &mut Output) -> Result<(), String> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.reader.read_until(b'\n', &mut line);
        if length.map_err(|error| error.to_string())? == 0 {
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            // A line that is not complete ends here, and not at the beginning of the next.
            let row = serde_json::from_slice(line.trim_ascii_end());
            if !output.send(row.map_err(|error| placed(&error, lines.before))?)? {
                return Ok(());
            }
        }
        lines.before += 1;
    }
}

/// What is wrong, in which line of the file.
fn placed(error: &serde_json::Error, before: usize) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    match text.strip_suffix(&format!(" at line {line} column {column}")) {
        Some(problem) => format!("{problem} at line {} column {column}", before + line),
        None => text,
    }
}

/// Objects that may take many lines, and share one.
fn one_after_the_other<R: Read>(lines: Lines<R>, output: &mut Output) -> Result<(), String> {
    for row in Deserializer::from_reader(lines.reader).into_iter() {
        if !output.send(row.map_err(|error| placed(&error, lines.before))?)? {
            break;
        }
    }
    Ok(())
}

/// The first byte that is no space, behind the mark that some programs begin files with.
fn first_byte<R: Read>(lines: &mut Lines<R>) -> io::Result<Option<u8>> {
    let Lines { reader, before } = lines;
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => return Ok(Some(buffer[at])),
            None => {
                let length = buffer.len();
                *before += buffer.split(|byte| *byte == b'\n').count() - 1;
                reader.consume(length);
            }
        }
    }
}

/// Sends each element of a list.
struct Each<'a>(&'a mut Output);

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(row) = list.next_element()? {
            if !self.0.send(row).map_err(A::Error::custom)? {
                break;
            }
        }
        Ok(())
    }
}

fn read_csv(source: impl Read, cells: Cells, output: &mut Output) -> Result<(), String> {
    let mut reader = csv::Reader::from_reader(source);
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut known = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !known.insert(*name)) {
        return Err(format!("there are two columns '{twice}'"));
    }
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let fields = names.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        let fields = fields.map(|(name, cell)| {
            // Ids are text, whatever they look like.
            let cells = if name == "id" { Cells::Text } else { cells };
            (name.to_owned(), value(cell, cells))
        });
        if !output.send(Value::Object(fields.collect::<Map<_, _>>()))? {
            break;
        }
    }
    Ok(())
}

fn value(cell: &str, cells: Cells) -> Value {
    let guess = || serde_json::from_str(cell).ok().filter(|it: &Value| !it.is_string());
    match cells {
        Cells::Guessed => guess().unwrap_or_else(|| Value::String(cell.to_owned())),
        Cells::Text => Value::String(cell.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What was read, and the error that ended it.
    fn all(text: &'static str, kind: Kind, cells: Cells) -> (Value, Option<String>) {
        let mut rows = Rows::read(text.as_bytes(), "file".to_owned(), kind, cells);
        let mut values = Vec::new();
        while let Some(row) = rows.receiver.blocking_recv() {
            values.push(row);
        }
        (values.into(), rows.reading.check().err().map(|error| error.to_string()))
    }

    fn values(text: &'static str, kind: Kind, cells: Cells) -> Value {
        let (values, error) = all(text, kind, cells);
        assert_eq!(error, None);
        values
    }

    #[test]
    fn json_is_a_list_or_objects_one_after_the_other() {
        let expected = json!([{"a": 1}, {"b": [2]}]);
        for text in [
            "[{\"a\": 1}, {\"b\": [2]}]",
            "  \n[\n{\"a\": 1},\n{\"b\":\n[2]}]\n",
            "{\"a\": 1}\n{\"b\": [2]}\n",
            "\u{feff}\n{\"a\": 1}\r\n\r\n{\"b\": [2]}",
            "\u{feff}[{\"a\": 1}, {\"b\": [2]}]",
        ] {
            for kind in [Kind::Json, Kind::Ndjson] {
                assert_eq!(values(text, kind, Cells::Guessed), expected, "{text}");
            }
        }
        let spread = "{\n\"a\": 1\n}\n\n{\"b\": [2]}";
        assert_eq!(values(spread, Kind::Json, Cells::Guessed), expected);
        for text in ["", " \n", "[]"] {
            assert_eq!(values(text, Kind::Json, Cells::Guessed), json!([]));
        }
    }

    #[test]
    fn csv_has_names_and_cells() {
        let text =
            "\u{feff}id,n,text,list,zip\r\na,3.5,\"x, \"\"y\"\"\n\",\"[1]\",01234\r\nb,,true,,\r\n";
        let expected = json!([
            {"id": "a", "n": 3.5, "text": "x, \"y\"\n", "list": [1], "zip": "01234"},
            {"id": "b", "text": true},
        ]);
        assert_eq!(values(text, Kind::Csv, Cells::Guessed), expected);
        let texts = values(text, Kind::Csv, Cells::Text);
        assert_eq!(texts[0]["n"], "3.5");
        assert_eq!(texts[1]["text"], "true");
    }

    #[test]
    fn ids_in_csv_are_text() {
        let text = "id,n\n1,1\ntrue,2\n1e5,3\nnull,4\n";
        let rows = values(text, Kind::Csv, Cells::Guessed);
        let ids: Vec<_> = rows.as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, ["1", "true", "1e5", "null"]);
    }

    #[test]
    fn mistakes_name_their_place_and_end_the_file() {
        for (text, kind, expected) in [
            ("{\"a\": 1}\n{\"a\": }\n{}", Kind::Ndjson, "file: expected value at line 2 column 7"),
            ("{\"a\": 1}\n7\n", Kind::Ndjson, "file: number 2 is not an object"),
            ("[{\"a\": 1}, {\"a\"", Kind::Json, "file: EOF while parsing an object at line 1"),
            ("[{\"a\": 1}] x", Kind::Json, "file: trailing characters"),
            ("\n{}\n{\"a\": 1\n{}\n", Kind::Ndjson, "object at line 3 column"),
            ("a,b\n1,2\n1,2,3\n", Kind::Csv, "found record with 3 fields"),
        ] {
            let (values, error) = all(text, kind, Cells::Guessed);
            assert_eq!(values.as_array().map(Vec::len), Some(1));
            assert!(error.as_ref().is_some_and(|it| it.contains(expected)), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_column_has_a_name_of_its_own() {
        let (values, error) = all("id,a,a\n1,2,3\n", Kind::Csv, Cells::Guessed);
        assert_eq!(values, json!([]));
        assert_eq!(error.unwrap(), "file: there are two columns 'a'");
    }

    #[test]
    fn who_stops_reading_ends_the_thread() {
        let text = "{\"a\": 1}\n".repeat(10 * AHEAD);
        let source = std::io::Cursor::new(text);
        let mut rows = Rows::read(source, "file".to_owned(), Kind::Ndjson, Cells::Guessed);
        assert!(rows.receiver.blocking_recv().is_some());
        drop(rows.receiver);
        assert!(rows.reading.check().is_ok());
    }
}
