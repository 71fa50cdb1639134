//! How results are written: as a table, JSON, lines of JSON, or CSV.

mod cell;
mod csv;
mod json;
mod table;

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, IsTerminal as _, Write},
};

pub(crate) use cell::printable;
use serde_json::{Map, Value};

use crate::{Error, Format, Result, Shape};

/// From how many objects columns and their widths are found; what comes later is not waited for.
const SAMPLE: usize = 500;

/// How many fields that were left out are remembered, and how many of them named.
const REMEMBERED: usize = 1_000;
const NAMED: usize = 10;

/// Where results go, and how they look there.
#[derive(Clone, Debug)]
pub struct Output {
    shape: Option<Shape>,
    columns: Vec<String>,
    /// The columns of tables if nobody asks for others.
    table_columns: Vec<String>,
    is_terminal: bool,
    quiet: bool,
}

impl Output {
    /// The standard output.
    pub fn new(format: &Format, quiet: bool) -> Self {
        Self {
            shape: format.output,
            columns: format.columns.clone(),
            table_columns: Vec::new(),
            is_terminal: io::stdout().is_terminal(),
            quiet,
        }
    }

    /// With these columns in tables, unless others are asked for.
    #[must_use]
    pub fn with_table_columns(mut self, columns: &[&str]) -> Self {
        self.table_columns = columns.iter().map(|&it| it.to_owned()).collect();
        self
    }

    /// The shape of one object, or of many.
    pub fn shape(&self, otherwise: Shape) -> Shape {
        self.shape.unwrap_or(if self.is_terminal { Shape::Table } else { otherwise })
    }

    /// Writes one object.
    pub fn object(&self, object: &Value) -> Result<()> {
        let shape = self.shape(Shape::Json);
        let mut out = BufWriter::new(io::stdout().lock());
        match shape {
            Shape::Table => table::object(&mut out, object, &self.columns)?,
            Shape::Json => json::pretty(&mut out, &chosen(object.clone(), &self.columns))?,
            Shape::Ndjson | Shape::Csv => {
                self.write(&mut out, shape, [Ok(object.clone())].into_iter())?;
            }
        }
        Ok(out.flush()?)
    }

    /// Writes many objects as they come. What came before an error is written.
    pub fn rows(&self, rows: impl IntoIterator<Item = Result<Value>>) -> Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = self.write(&mut out, self.shape(Shape::Ndjson), rows.into_iter());
        out.flush()?;
        written
    }

    /// Writes many objects elsewhere.
    pub(crate) fn rows_to(
        &self,
        out: &mut impl Write,
        shape: Shape,
        rows: impl IntoIterator<Item = Result<Value>>,
    ) -> Result<()> {
        self.write(out, shape, rows.into_iter())
    }

    fn write(
        &self,
        out: &mut impl Write,
        shape: Shape,
        mut rows: impl Iterator<Item = Result<Value>>,
    ) -> Result<()> {
        let columns = &self.columns;
        match shape {
            Shape::Json => return json::list(out, rows, columns),
            Shape::Ndjson => return json::lines(out, rows, columns),
            Shape::Table | Shape::Csv => {}
        }
        let (sample, error) = sample(&mut rows);
        let error = match error {
            // Nothing is above an error that is alone.
            Some(error) if sample.is_empty() => return Err(error),
            error => error,
        };
        let is_table = shape == Shape::Table;
        let columns = if !columns.is_empty() {
            columns.clone()
        } else if is_table && !self.table_columns.is_empty() {
            self.table_columns.clone()
        } else {
            columns_of(&sample)
        };
        let mut unseen =
            Unseen::new(&columns, self.columns.is_empty() && self.table_columns.is_empty());
        let rest = rows.by_ref().inspect(|row| unseen.look(row));
        let rest = error.into_iter().map(Err).chain(rest);
        if is_table {
            table::rows(out, &columns, self.width(), &sample, rest)?;
        } else {
            csv::rows(out, &columns, sample.into_iter().map(Ok).chain(rest))?;
        }
        self.tell(&unseen);
        Ok(())
    }

    /// How many columns of text a line has, if that matters.
    fn width(&self) -> Option<usize> {
        if !self.is_terminal {
            return None;
        }
        terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
    }

    /// Nothing is left out silently.
    fn tell(&self, unseen: &Unseen) {
        if !self.quiet && !unseen.names.is_empty() {
            let count = unseen.names.len();
            let more = if count < REMEMBERED { "" } else { " or more" };
            let names: Vec<_> = unseen.names.iter().take(NAMED).map(String::as_str).collect();
            let names = printable(&names.join(",")).into_owned();
            let rest = if count > NAMED { ",…" } else { "" };
            // Nobody is left to tell if this fails.
            let _ = writeln!(
                io::stderr(),
                "cumulo: fields of later objects were left out, {count}{more} in all: {names}{rest}\n  name \
                 all that you want with --columns, or choose ndjson"
            );
        }
    }
}

/// The first objects, up to the first error.
fn sample(rows: &mut impl Iterator<Item = Result<Value>>) -> (Vec<Value>, Option<Error>) {
    let mut sample = Vec::new();
    for row in rows.take(SAMPLE) {
        match row {
            Ok(row) => sample.push(row),
            Err(error) => return (sample, Some(error)),
        }
    }
    (sample, None)
}

/// The fields of objects in the order in which they appear, the id first and the timestamp last.
fn columns_of(sample: &[Value]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for name in sample.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if known.insert(name) {
            columns.push(name.clone());
        }
    }
    columns.sort_by_key(|name| match name.as_str() {
        "id" => 0,
        "last_modified" => 2,
        _ => 1,
    });
    columns
}

/// Fields that came too late to become a column.
struct Unseen<'a> {
    columns: Option<BTreeSet<&'a str>>,
    names: BTreeSet<String>,
}

impl<'a> Unseen<'a> {
    /// If somebody has chosen the columns, nothing is missing.
    fn new(columns: &'a [String], is_guessed: bool) -> Self {
        let columns = is_guessed.then(|| columns.iter().map(String::as_str).collect());
        Self { columns, names: BTreeSet::new() }
    }

    fn look(&mut self, row: &Result<Value>) {
        let (Some(columns), Ok(Value::Object(row))) = (&self.columns, row) else { return };
        for name in row.keys() {
            if !columns.contains(name.as_str()) && self.names.len() < REMEMBERED {
                self.names.insert(name.clone());
            }
        }
    }
}

/// The object with these fields only; with all if none is named.
fn chosen(object: Value, columns: &[String]) -> Value {
    if columns.is_empty() {
        return object;
    }
    let field = |name: &String| Some((name.clone(), cell::find(&object, name)?.clone()));
    Value::Object(columns.iter().filter_map(field).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(columns: &[&str]) -> Output {
        Output {
            shape: None,
            columns: columns.iter().map(|&it| it.to_owned()).collect(),
            table_columns: Vec::new(),
            is_terminal: false,
            quiet: true,
        }
    }

    fn written(columns: &[&str], shape: Shape, rows: &[Value]) -> String {
        let mut out = Vec::new();
        output(columns).rows_to(&mut out, shape, rows.iter().cloned().map(Ok)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn rows() -> [Value; 2] {
        [
            json!({"title": "Ein, \"Titel\"", "id": "a", "last_modified": 7, "tags": ["x", "y"]}),
            json!({"id": "b", "price": 3.5, "title": null, "author": {"name": "Ann"}}),
        ]
    }

    #[test]
    fn json_is_a_list_and_ndjson_is_lines() {
        let [a, b] = rows();
        assert_eq!(written(&[], Shape::Json, &[]), "[]\n");
        assert_eq!(written(&[], Shape::Json, &rows()), format!("[\n{a},\n{b}\n]\n"));
        assert_eq!(written(&[], Shape::Ndjson, &rows()), format!("{a}\n{b}\n"));
        let expected = "{\"id\":\"a\"}\n{\"id\":\"b\",\"author.name\":\"Ann\"}\n";
        assert_eq!(written(&["id", "author.name"], Shape::Ndjson, &rows()), expected);
    }

    #[test]
    fn csv_is_quoted() {
        let expected = "id,title,tags,price,author,last_modified\n\
            a,\"Ein, \"\"Titel\"\"\",\"[\"\"x\"\",\"\"y\"\"]\",,,7\n\
            b,,,3.5,\"{\"\"name\"\":\"\"Ann\"\"}\",\n";
        assert_eq!(written(&[], Shape::Csv, &rows()), expected);
        assert_eq!(
            written(&["author.name", "id"], Shape::Csv, &rows()),
            "author.name,id\n,a\nAnn,b\n"
        );
    }

    #[test]
    fn what_came_before_an_error_is_written() {
        for shape in [Shape::Table, Shape::Csv, Shape::Ndjson] {
            let mut out = Vec::new();
            let failure = Error::Input("broken".to_owned());
            let rows = [Ok(json!({"id": "first"})), Err(failure)];
            assert!(output(&[]).rows_to(&mut out, shape, rows).is_err());
            assert!(String::from_utf8(out).unwrap().contains("first"), "{shape:?}");
        }
    }

    #[test]
    fn nothing_is_above_an_error_that_is_alone() {
        for shape in [Shape::Table, Shape::Csv, Shape::Json, Shape::Ndjson] {
            let mut out = Vec::new();
            let rows = [Err(Error::Input("broken".to_owned()))];
            let output = output(&[]).with_table_columns(&["date", "uri"]);
            assert!(output.rows_to(&mut out, shape, rows).is_err());
            assert!(out.is_empty(), "{shape:?}");
        }
    }

    #[test]
    fn no_more_rows_than_a_sample_are_held() {
        for shape in [Shape::Table, Shape::Csv] {
            let mut out = Vec::new();
            let rows = (0..3 * SAMPLE).map(|i| Ok(json!({"id": format!("row {i}")})));
            let mut farthest = 0;
            let counted = rows.enumerate().map(|(i, row)| {
                farthest = i;
                if i == SAMPLE + 1 { Err(Error::Input("stop".to_owned())) } else { row }
            });
            assert!(output(&[]).rows_to(&mut out, shape, counted).is_err());
            assert_eq!(farthest, SAMPLE + 1);
            assert!(String::from_utf8(out).unwrap().contains(&format!("row {SAMPLE}")));
        }
    }

    #[test]
    fn fields_that_come_late_are_noticed() {
        let columns = ["id".to_owned()];
        let mut unseen = Unseen::new(&columns, true);
        unseen.look(&Ok(json!({"id": "a", "late": 1})));
        assert_eq!(unseen.names.into_iter().collect::<Vec<_>>(), ["late"]);
        let mut chosen = Unseen::new(&columns, false);
        chosen.look(&Ok(json!({"id": "a", "late": 1})));
        assert!(chosen.names.is_empty());
    }
}
