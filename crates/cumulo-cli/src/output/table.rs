//! Tables for people. Widths come from the first rows; on a terminal, what is wider is cut.

use std::{borrow::Cow, io::Write, iter::repeat_n};

use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::cell::{self, printable};
use crate::Result;

/// What stands between columns.
const GAP: usize = 2;
/// No column is made narrower than this.
const NARROWEST: usize = 6;

struct Column {
    width: usize,
    is_number: bool,
}

/// Writes one object: a line for each field.
pub(super) fn object(
    out: &mut impl Write,
    object: &Value,
    columns: &[String],
    width: Option<usize>,
) -> Result<()> {
    let names: Vec<String> = match object.as_object() {
        Some(fields) if columns.is_empty() => fields.keys().cloned().collect(),
        _ => columns.to_vec(),
    };
    let widest = names.iter().map(|name| printable(name).width()).max().unwrap_or_default();
    let rest = width.map(|width| width.saturating_sub(widest + GAP).max(NARROWEST));
    for name in &names {
        let text = cell::text(object, name);
        let value = cut(&printable(&text), rest).into_owned();
        let name = printable(name);
        let gap = widest - name.width() + GAP;
        writeln!(out, "{}", format!("{name}{:gap$}{value}", "").trim_end())?;
    }
    Ok(())
}

/// Writes many objects: a line for each.
pub(super) fn rows(
    out: &mut impl Write,
    names: &[String],
    width: Option<usize>,
    sample: &[Value],
    mut rest: impl Iterator<Item = Result<Value>>,
) -> Result<()> {
    if names.is_empty() {
        return rest.try_for_each(|row| row.map(|_| ()));
    }
    let mut columns: Vec<_> = names.iter().map(|name| Column::new(name, sample)).collect();
    if let Some(width) = width {
        fit(&mut columns, width);
    }
    let is_cut = width.is_some();
    let header: Vec<_> = names.iter().map(|name| Cow::Borrowed(name.as_str())).collect();
    line(out, &columns, &header, is_cut)?;
    let rule: Vec<_> = columns.iter().map(|it| Cow::Owned("─".repeat(it.width))).collect();
    line(out, &columns, &rule, is_cut)?;
    for row in sample {
        line(out, &columns, &cells(row, names), is_cut)?;
    }
    for row in rest {
        line(out, &columns, &cells(&row?, names), is_cut)?;
    }
    Ok(())
}

fn cells<'a>(row: &'a Value, names: &[String]) -> Vec<Cow<'a, str>> {
    names.iter().map(|name| cell::text(row, name)).collect()
}

impl Column {
    fn new(name: &str, sample: &[Value]) -> Self {
        let width = |row| printable(&cell::text(row, name)).width();
        let width = sample.iter().map(width).chain([printable(name).width()]).max();
        let mut values = sample.iter().filter_map(|row| cell::find(row, name)).peekable();
        let is_number = values.peek().is_some() && values.all(|it| it.is_number() || it.is_null());
        Self { width: width.unwrap_or_default(), is_number }
    }
}

/// Makes the widest columns narrower, until all are as wide as the line.
fn fit(columns: &mut [Column], width: usize) {
    let room = width.saturating_sub(GAP * (columns.len() - 1));
    let mut limit = columns.iter().map(|it| it.width).max().unwrap_or_default();
    let total = |limit| columns.iter().map(|it| it.width.min(limit)).sum::<usize>();
    while limit > NARROWEST && total(limit) > room {
        limit -= 1;
    }
    // What one step was too much goes to the first that wants it.
    let mut spare = room.saturating_sub(total(limit));
    for column in columns {
        let more = spare.min(column.width.saturating_sub(limit)).min(1);
        column.width = column.width.min(limit) + more;
        spare -= more;
    }
}

fn line(
    out: &mut impl Write,
    columns: &[Column],
    cells: &[Cow<'_, str>],
    is_cut: bool,
) -> Result<()> {
    let mut line = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        let shown = printable(cell);
        let shown = cut(&shown, is_cut.then_some(column.width));
        let space = column.width.saturating_sub(shown.width());
        let (before, after) = if column.is_number { (space, 0) } else { (0, space) };
        line.extend(repeat_n(' ', before));
        line += &shown;
        line.extend(repeat_n(' ', after + GAP));
    }
    Ok(writeln!(out, "{}", line.trim_end())?)
}

/// The beginning of a text that is too wide, with a sign that more was there.
fn cut(text: &str, width: Option<usize>) -> Cow<'_, str> {
    let Some(width) = width.filter(|width| text.width() > *width) else {
        return Cow::Borrowed(text);
    };
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or_default();
        taken < width
    };
    Cow::Owned(text.chars().take_while(fits).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(rows_: &[Value], width: Option<usize>) -> Vec<String> {
        let names: Vec<String> = ["id", "title", "n"].map(str::to_owned).into();
        let mut out = Vec::new();
        rows(&mut out, &names, width, rows_, std::iter::empty()).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [
            json!({"id": "a", "title": "漢字", "n": 12345}),
            json!({"id": "bb", "title": "multi\nline", "n": 7}),
            json!({"id": "c", "title": {"a": [1]}}),
        ];
        let expected = [
            "id  title            n",
            "──  ───────────  ─────",
            "a   漢字         12345",
            "bb  multi\\nline      7",
            "c   {\"a\":[1]}",
        ];
        assert_eq!(shown(&rows, None), expected);
    }

    #[test]
    fn lines_fit_the_terminal() {
        let wide = "long ".repeat(40);
        let rows =
            [json!({"id": "short", "title": wide, "n": 1}), json!({"id": wide, "title": wide})];
        for width in [20, 40, 41, 80] {
            for line in shown(&rows, Some(width)) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        let lines = shown(&rows, Some(40));
        assert!(lines[2].starts_with("short ") && lines[2].contains('…'), "{lines:?}");
        assert_eq!(lines[1].width(), 40, "all of the line is used");
    }

    #[test]
    fn wide_characters_are_cut_by_their_width() {
        assert_eq!(cut("漢字漢字", Some(8)), "漢字漢字");
        assert_eq!(cut("漢字漢字", Some(6)), "漢字…");
        assert_eq!(cut("漢字漢字", Some(7)), "漢字漢…");
        assert_eq!(cut("abc", Some(2)), "a…");
    }

    #[test]
    fn one_object_is_a_line_for_each_field() {
        let mut out = Vec::new();
        let value = json!({"id": "a", "title": "A title", "tags": ["x"], "none": null});
        object(&mut out, &value, &[], None).unwrap();
        let expected = "id     a\ntitle  A title\ntags   [\"x\"]\nnone\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
