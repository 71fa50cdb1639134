//! A table in Markdown.

use std::fmt;

pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    pub(super) fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

/// Columns of numbers are aligned to the right.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |index: usize| self.rows.iter().map(move |row| row[index].as_str());
        let count = self.rows[0].len();
        let widths: Vec<usize> =
            (0..count).map(|index| column(index).map(str::len).max().unwrap_or(0).max(3)).collect();
        let numeric: Vec<bool> = (0..count)
            .map(|index| {
                column(index).skip(1).all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
            })
            .collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (index, cell) in row.iter().enumerate() {
                let width = widths[index];
                if numeric[index] {
                    write!(f, "| {cell:>width$} ")?;
                } else {
                    write!(f, "| {cell:<width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (width, numeric) in widths.iter().zip(&numeric) {
                    let end = if *numeric { ":" } else { "-" };
                    write!(f, "| {}{end} ", "-".repeat(width - 1))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn numbers_are_aligned_to_the_right() {
        let mut table = Table::new(&["server", "ms"]);
        table.add(vec!["a".into(), "1.5".into()]);
        table.add(vec!["b".into(), "12.5".into()]);
        let expected = "\
| server |   ms |
| ------ | ---: |
| a      |  1.5 |
| b      | 12.5 |
";
        assert_eq!(table.to_string(), expected);
    }
}
