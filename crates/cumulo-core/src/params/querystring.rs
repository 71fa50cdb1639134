//! Filters, order, limit, page and fields of a list request.

use serde_json::Value;

use crate::{
    error::{ApiError, Invalid, Location, Result},
    object::Timestamp,
    query::{Field, Filter, Op, Query, Sort},
};

use super::body::{not_a_string, python_repr, quoted};

/// What the query string of a list request asks.
#[derive(Clone, Debug, Default)]
pub struct ListParams {
    /// Filters and order; page, limit and ids are for the caller to fill in.
    pub query: Query,
    /// The names that were sorted by, as written, matching [`Query::sort`].
    pub sort_names: Vec<String>,
    /// `_limit`, if it is a positive number.
    pub limit: Option<usize>,
    /// `_token`.
    pub token: Option<String>,
    /// `_fields`: paths to keep; empty for all.
    pub fields: Vec<Vec<String>>,
    /// Whether the deprecated `_to` was used.
    pub used_to: bool,
}

/// How fields are recognized.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// Every name but these first ones may be filtered and sorted by.
    AllBut(&'static [&'static str]),
    /// Only these first names, `id`, `last_modified` and `deleted`.
    Only(&'static [&'static str]),
}

impl Known {
    fn accepts(self, name: &str) -> bool {
        let first = name.split('.').next().unwrap_or(name);
        match self {
            Self::AllBut(names) => !names.contains(&first),
            Self::Only(names) => {
                matches!(first, "id" | "last_modified" | "deleted") || names.contains(&first)
            }
        }
    }
}

/// What may stand before the name of a field to filter by.
pub const OPERATORS: [&str; 12] = [
    "contains_any_",
    "contains_",
    "exclude_",
    "like_",
    "has_",
    "not_",
    "min_",
    "max_",
    "lt_",
    "gt_",
    "eq_",
    "in_",
];

/// The most parameters of a list request: in a batch, no limit of the headers bounds them.
const MAX_PARAMETERS: usize = 500;
/// The most fields to sort by: the conditions of a page grow with their square.
const MAX_SORTS: usize = 20;

/// Reads the parameters of a list request; `now` bounds timestamps.
pub fn parse(pairs: &[(String, String)], known: Known, now: Timestamp) -> Result<ListParams> {
    if pairs.len() > MAX_PARAMETERS {
        let problem = format!("Number of parameters is limited to {MAX_PARAMETERS}");
        return Err(Invalid::unnamed(Location::Querystring, problem).into());
    }
    let mut parser = Parser { params: ListParams::default(), known, now, problems: Vec::new() };
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in pairs {
        let trimmed = name.trim();
        if seen.contains(&trimmed) {
            continue;
        }
        seen.push(trimmed);
        let values: Vec<&str> = pairs
            .iter()
            .filter(|(other, _)| other.trim() == trimmed)
            .map(|(_, value)| value.as_str())
            .collect();
        parser.parameter(trimmed, &values);
    }
    parser.finish()
}

struct Parser {
    params: ListParams,
    known: Known,
    now: Timestamp,
    problems: Vec<Invalid>,
}

impl Parser {
    fn parameter(&mut self, name: &str, values: &[&str]) {
        match name {
            "_limit" => self.limit(values),
            "_sort" => self.sort(values),
            "_token" => match values {
                ["" | "null"] => {}
                [token] => self.params.token = Some((*token).to_owned()),
                _ => self.problem("_token", "A single value is expected"),
            },
            "_fields" => self.fields(values),
            "_since" => self.bound(name, values, Op::Gt),
            "_before" => self.bound(name, values, Op::Lt),
            "_to" => {
                self.params.used_to = true;
                self.bound(name, values, Op::Lt);
            }
            _ if name.starts_with('_') => {}
            _ => self.filter(name, values),
        }
    }

    fn problem(&mut self, name: &str, description: impl Into<String>) {
        self.problems.push(Invalid::new(Location::Querystring, name, description));
    }

    fn limit(&mut self, values: &[&str]) {
        let value = typed(values);
        match integer(&value) {
            Ok(Some(..0)) => {
                let problem = format!("{} is less than minimum value 0", python_repr(&value));
                self.problem("_limit", problem);
            }
            Ok(None | Some(0)) => {}
            Ok(Some(number)) => {
                self.params.limit = Some(usize::try_from(number).unwrap_or(usize::MAX));
            }
            Err(problem) => self.problem("_limit", problem),
        }
    }

    fn sort(&mut self, values: &[&str]) {
        let names = values.iter().flat_map(|value| value.split(','));
        for name in names.map(str::trim) {
            let descending = name.starts_with('-');
            let bare = name.strip_prefix(['-', '+']).unwrap_or(name);
            if bare.is_empty() || !bare.chars().all(is_field_char) {
                continue;
            }
            if !self.known.accepts(bare) {
                let problem = format!("Unknown sort field '{bare}'");
                self.problems.push(Invalid::unnamed(Location::Querystring, problem));
            }
            self.params.query.sort.push(Sort { field: field(bare), descending });
            self.params.sort_names.push(bare.to_owned());
        }
        if self.params.query.sort.len() > MAX_SORTS {
            self.problem("_sort", format!("Number of sort fields is limited to {MAX_SORTS}"));
        }
    }

    fn fields(&mut self, values: &[&str]) {
        let names = values.iter().flat_map(|value| value.split(','));
        let names: Vec<_> = names.map(str::trim).filter(|name| !name.is_empty()).collect();
        let unknown: Vec<_> =
            names.iter().copied().filter(|name| !self.known.accepts(name)).collect();
        if !unknown.is_empty() {
            self.problems.push(Invalid::new(
                Location::Body,
                "Invalid _fields parameter",
                format!("Fields {} do not exist", unknown.join(",")),
            ));
        }
        self.params.fields = names.into_iter().map(path).collect();
    }

    /// `_since`, `_before`, `_to`. Null is no bound.
    fn bound(&mut self, name: &str, values: &[&str], op: fn(Value) -> Op) {
        self.params.query.tombstones = true;
        match self.timestamp(name, values) {
            Ok(Some(timestamp)) => {
                let op = op(timestamp.into());
                self.params.query.filters.push(Filter { field: Field::LastModified, op });
            }
            Ok(None) => {}
            Err(problem) => self.problem(name, problem),
        }
    }

    /// A timestamp, quoted or not, or null: not negative, and at most a day in the future. The
    /// error is a description.
    fn timestamp(&self, name: &str, values: &[&str]) -> std::result::Result<Option<i64>, String> {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let value = typed(values);
        match integer(&value)? {
            Some(number) if number < 0 => {
                Err(format!("{} is less than minimum value 0", python_repr(&value)))
            }
            Some(number) if number >= self.now.0.saturating_add(DAY) => {
                Err(format!("Invalid value for {name}"))
            }
            None if values == [""] => Err(format!("Invalid value for {name}")),
            timestamp => Ok(timestamp),
        }
    }

    fn filter(&mut self, name: &str, values: &[&str]) {
        let operator = OPERATORS
            .iter()
            .copied()
            .find(|operator| {
                name.strip_prefix(operator)
                    .is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_field_char))
            })
            .unwrap_or("");
        let bare = &name[operator.len()..];
        if !self.known.accepts(bare) {
            self.problem(name, format!("Unknown filter field '{name}'"));
            return;
        }
        if name.contains('\0') || values.iter().any(|value| has_nul(value)) {
            self.problem(name, "Invalid character 0x00");
            return;
        }
        match bare {
            "last_modified" => self.filter_on_timestamp(name, operator, values),
            "id" => self.filter_on_id(name, operator, values),
            _ => self.filter_on_data(name, operator, bare, values),
        }
    }

    fn filter_on_timestamp(&mut self, name: &str, operator: &str, values: &[&str]) {
        if operator.starts_with("contains") {
            self.problem(name, "Field 'last_modified' is not an array");
            return;
        }
        if matches!(operator, "in_" | "exclude_" | "like_") {
            self.problem(name, format!("Invalid value for {name}"));
            return;
        }
        self.params.query.tombstones = true;
        let timestamp = match self.timestamp(name, values) {
            Ok(Some(timestamp)) => timestamp,
            Ok(None) => return self.problem(name, format!("Invalid value for {name}")),
            Err(problem) => return self.problem(name, problem),
        };
        let op = match operator {
            "has_" if timestamp != 0 => return,
            // Every object has a timestamp.
            "has_" => Op::Lt(i64::MIN.into()),
            _ => comparison(operator)(timestamp.into()),
        };
        self.params.query.filters.push(Filter { field: Field::LastModified, op });
    }

    fn filter_on_id(&mut self, name: &str, operator: &str, values: &[&str]) {
        let op = match operator {
            "contains_" | "contains_any_" => {
                return self.problem(name, "Field 'id' is not an array");
            }
            "has_" if is_truthy(&typed(values)) => return,
            // Every object has an id.
            "has_" => Op::In(Vec::new()),
            "in_" | "exclude_" => match list_of_values(values) {
                ids if ids.iter().all(Value::is_string) => {
                    if operator == "in_" {
                        Op::In(ids)
                    } else {
                        Op::Exclude(ids)
                    }
                }
                _ => return self.problem(name, format!("Invalid value for {name}")),
            },
            _ => match typed(values) {
                Value::String(text) if operator == "like_" => Op::Like(pattern(&text)),
                Value::String(text) => comparison(operator)(text.into()),
                other => return self.problem(name, not_a_string(&other, name)),
            },
        };
        self.params.query.filters.push(Filter { field: Field::Id, op });
    }

    fn filter_on_data(&mut self, name: &str, operator: &str, bare: &str, values: &[&str]) {
        let op = match operator {
            "in_" => Op::In(list_of_values(values)),
            "exclude_" => Op::Exclude(list_of_values(values)),
            "contains_" => Op::Contains(as_list(typed(values))),
            "contains_any_" => Op::ContainsAny(as_list(typed(values))),
            "has_" => Op::Has(is_truthy(&typed(values))),
            "like_" => match typed(values) {
                Value::String(text) => Op::Like(pattern(&text)),
                _ => return self.problem(name, format!("Invalid value for {name}")),
            },
            _ => comparison(operator)(typed(values)),
        };
        self.params.query.filters.push(Filter { field: field(bare), op });
    }

    fn finish(mut self) -> Result<ListParams> {
        if !self.problems.is_empty() {
            return Err(ApiError::invalid(self.problems));
        }
        let sort = &mut self.params.query.sort;
        if sort.is_empty() || !self.params.sort_names.iter().any(|name| name == "last_modified") {
            sort.push(Sort { field: Field::LastModified, descending: true });
            self.params.sort_names.push("last_modified".to_owned());
        }
        Ok(self.params)
    }
}

/// The condition of an operator that compares with one value.
fn comparison(operator: &str) -> fn(Value) -> Op {
    match operator {
        "not_" => Op::Not,
        "lt_" => Op::Lt,
        "max_" => Op::Max,
        "gt_" => Op::Gt,
        "min_" => Op::Min,
        _ => Op::Eq,
    }
}

/// The field with this dotted name.
pub fn field(name: &str) -> Field {
    match name {
        "id" => Field::Id,
        "last_modified" => Field::LastModified,
        _ => Field::Data(path(name)),
    }
}

fn path(name: &str) -> Vec<String> {
    name.split('.').map(str::to_owned).collect()
}

fn is_field_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// JSON if it parses, else the text itself.
pub fn native(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// One value as itself, several as a list.
fn typed(values: &[&str]) -> Value {
    match values {
        [value] => native(value),
        several => several.iter().map(|value| native(value)).collect(),
    }
}

fn list_of_values(values: &[&str]) -> Vec<Value> {
    let parts = values.iter().filter(|value| !value.is_empty()).flat_map(|value| value.split(','));
    parts.map(native).collect()
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => vec![other],
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Without a star, a pattern may match anywhere.
fn pattern(text: &str) -> String {
    if text.contains('*') { text.to_owned() } else { format!("*{text}*") }
}

fn has_nul(text: &str) -> bool {
    text.contains('\0') || (text.contains("\\u0000") && super::json::holds_nul(&native(text)))
}

/// An integer from a number, whose fraction is dropped, or from text with an integer; nothing from
/// null and empty text. The error is a description.
fn integer(value: &Value) -> std::result::Result<Option<i64>, String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fractions are dropped, the rest saturates"
    )]
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|f| f as i64)),
        _ => None,
    };
    number.map(Some).ok_or_else(|| format!("{} is not a number", quoted(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn parse_text(query: &str) -> Result<ListParams> {
        parse(&crate::request::parse_query(query).unwrap(), Known::AllBut(&[]), NOW)
    }

    fn filters(query: &str) -> Vec<Filter> {
        parse_text(query).unwrap().query.filters
    }

    fn data(name: &str, op: Op) -> Vec<Filter> {
        vec![Filter { field: Field::Data(path(name)), op }]
    }

    #[test]
    fn values_are_typed() {
        assert_eq!(filters("a=1"), data("a", Op::Eq(json!(1))));
        assert_eq!(filters("a=%221%22"), data("a", Op::Eq(json!("1"))));
        assert_eq!(filters("a=01"), data("a", Op::Eq(json!("01"))));
        assert_eq!(filters("a=null"), data("a", Op::Eq(json!(null))));
        assert_eq!(filters("a=1&a=x"), data("a", Op::Eq(json!([1, "x"]))));
    }

    #[test]
    fn operators_are_prefixes() {
        assert_eq!(filters("gt_a.b=1"), data("a.b", Op::Gt(json!(1))));
        assert_eq!(filters("in_a=1,x"), data("a", Op::In(vec![json!(1), json!("x")])));
        assert_eq!(filters("exclude_a="), data("a", Op::Exclude(vec![])));
        assert_eq!(filters("like_a=x"), data("a", Op::Like("*x*".into())));
        assert_eq!(filters("like_a=x*"), data("a", Op::Like("x*".into())));
        assert_eq!(filters("has_a=false"), data("a", Op::Has(false)));
        assert_eq!(filters("contains_any_a=[1]"), data("a", Op::ContainsAny(vec![json!(1)])));
        assert_eq!(filters("contains_a=1"), data("a", Op::Contains(vec![json!(1)])));
        assert_eq!(filters("has_foo-bar=1"), data("has_foo-bar", Op::Eq(json!(1))));
        assert_eq!(filters("_unknown=1"), vec![]);
    }

    #[test]
    fn timestamps_are_integers_not_far_in_the_future() {
        let since = |n: i64| vec![Filter { field: Field::LastModified, op: Op::Gt(json!(n)) }];
        assert_eq!(filters("_since=12"), since(12));
        assert_eq!(filters("_since=%2212%22"), since(12));
        assert_eq!(filters("_since=1.5"), since(1));
        assert_eq!(filters("_since=null"), vec![]);
        for bad in [
            "_since=",
            "_since=abc",
            "_since=true",
            "_since=-1",
            "_since=1&_since=2",
            "_since=9999999999999999",
            "last_modified=abc",
            "in_last_modified=1",
            "contains_last_modified=1",
            "like_last_modified=1",
        ] {
            assert!(parse_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_integers() {
        let limit = |query: &str| parse_text(query).map(|params| params.limit).ok();
        for (query, expected) in [
            ("_limit=5", Some(5)),
            ("_limit=%225%22", Some(5)),
            ("_limit=1.5", Some(1)),
            ("_limit=0", None),
            ("_limit=", None),
            ("_limit=null", None),
        ] {
            assert_eq!(limit(query), Some(expected), "{query}");
        }
        for bad in ["_limit=-1", "_limit=true", "_limit=abc", "_limit=1&_limit=2"] {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_object_has_an_id_and_a_timestamp() {
        assert_eq!(filters("has_id=true&has_last_modified=1"), []);
        assert_eq!(
            filters("has_id=false&has_last_modified=0"),
            [
                Filter { field: Field::Id, op: Op::In(vec![]) },
                Filter { field: Field::LastModified, op: Op::Lt(json!(i64::MIN)) },
            ]
        );
        assert!(parse_text("has_last_modified=true").is_err());
    }

    #[test]
    fn what_grows_with_its_square_is_bounded() {
        assert!(parse_text(&format!("_sort={}", "a,".repeat(MAX_SORTS))).is_ok());
        assert!(parse_text(&format!("_sort={}", "a,".repeat(MAX_SORTS + 1))).is_err());
        assert!(parse_text(&"a=1&".repeat(MAX_PARAMETERS + 1)).is_err());
    }

    #[test]
    fn ids_are_text() {
        assert!(parse_text("id=42").is_err());
        assert!(parse_text("in_id=42").is_err());
        assert!(parse_text("contains_id=a").is_err());
        assert_eq!(
            filters("id=%2242%22"),
            vec![Filter { field: Field::Id, op: Op::Eq(json!("42")) }]
        );
    }

    #[test]
    fn the_order_ends_with_the_timestamp() {
        let names = |query: &str| parse_text(query).unwrap().sort_names;
        assert_eq!(names(""), ["last_modified"]);
        assert_eq!(names("_sort=-a,b.c"), ["a", "b.c", "last_modified"]);
        assert_eq!(names("_sort=last_modified,a"), ["last_modified", "a"]);
        assert_eq!(names("_sort=a!,-"), ["last_modified"]);
    }
}
