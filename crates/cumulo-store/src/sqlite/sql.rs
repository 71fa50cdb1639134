//! Queries as SQL.

use std::fmt::Write;

use cumulo_core::{
    object::List,
    query::{Field, Filter, Op, Query, Sort, key},
};
use rusqlite::types::Value as Param;
use serde_json::Value;

use super::functions;

/// Longer lists of values are handed over as one, so that the text of a statement stays short.
const MAX_IN: usize = 16;

/// A statement with its parameters.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) params: Vec<Param>,
}

/// How a statement names its list.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// By a look-up that is part of the statement, so that both see the same state.
    Named(&'a List),
    /// By its id, for the sake of indexes that exist for this list alone.
    Id(i64),
    /// Not at all: all lists of this resource together.
    All(&'static str),
}

/// Selects id, timestamp, whether it is a tombstone, and data of what matches `query`.
pub(super) fn select(source: Source<'_>, query: &Query) -> Sql {
    let mut sql = Builder::default();
    let list = sql.source(source);
    let mut conditions = sql.conditions(query, true);
    let sort = match source {
        // Objects of several lists may share whatever they have.
        Source::All(_) => &query.sort,
        Source::Named(_) | Source::Id(_) => significant(&query.sort),
    };
    if let (Source::Id(_), [Sort { field: Field::Data(path), .. }, ..]) = (source, sort) {
        // Always true, but it leads the planner to an index that has the order.
        conditions = conditions + " AND " + &json_key(path) + " > x''";
    }
    match (query.tombstones, sort) {
        (false, _) => sql.arm("0", &format!("{list} AND deleted = 0{conditions}")),
        // Two scans in the order that is asked for, which the engine merges without sorting.
        (true, [] | [Sort { field: Field::LastModified, .. }]) => {
            sql.arm("0", &format!("{list} AND deleted = 0{conditions}"));
            sql.text += " UNION ALL ";
            sql.arm("1", &format!("{list} AND deleted = 1{conditions}"));
        }
        (true, _) => sql.arm("deleted", &format!("{list}{conditions}")),
    }
    sql.order(sort);
    if let Some(limit) = query.limit {
        let limit = sql.param(i64::try_from(limit).unwrap_or(i64::MAX));
        sql.push(format_args!(" LIMIT {limit}"));
    }
    sql.finish()
}

/// Counts the live objects that match the filters of `query`.
pub(super) fn count(source: Source<'_>, query: &Query) -> Sql {
    let mut sql = Builder::default();
    let list = sql.source(source);
    let conditions = sql.conditions(query, false);
    sql.push(format_args!("SELECT count(*) FROM object WHERE {list} AND deleted = 0{conditions}"));
    sql.finish()
}

/// Whether `query` asks about more than ids and timestamps.
pub(super) fn looks_into_data(query: &Query) -> bool {
    let is_data = |field: &Field| matches!(field, Field::Data(_));
    query.filters.iter().any(|filter| is_data(&filter.field))
        || query.sort.iter().any(|sort| is_data(&sort.field))
}

/// The SQL expression for the key of what lies at `path`: the same text in queries and indexes.
pub(super) fn json_key(path: &[String]) -> String {
    format!("json_key(data, {})", path_literal(path))
}

/// Any names, as a safely quoted literal.
fn path_literal(path: &[String]) -> String {
    quote(&Value::from(path).to_string())
}

/// A text literal. JSON escapes control characters, so none can cut the statement short.
fn quote(json: &str) -> String {
    format!("'{}'", json.replace('\'', "''"))
}

/// The criteria up to the first that no two objects share; the rest decides nothing.
fn significant(sort: &[Sort]) -> &[Sort] {
    let unique = |sort: &Sort| matches!(sort.field, Field::Id | Field::LastModified);
    sort.iter().position(unique).map_or(sort, |last| &sort[..=last])
}

#[derive(Default)]
struct Builder {
    text: String,
    params: Vec<Param>,
}

impl Builder {
    fn finish(self) -> Sql {
        Sql { text: self.text, params: self.params }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string can't fail");
    }

    /// Adds a parameter and returns its name.
    fn param(&mut self, value: impl Into<Param>) -> String {
        self.params.push(value.into());
        format!("?{}", self.params.len())
    }

    /// The condition on the list.
    fn source(&mut self, source: Source<'_>) -> String {
        match source {
            Source::Id(id) => format!("list = {id}"),
            Source::All(resource) => {
                let resource = self.param(resource.to_owned());
                format!("list IN (SELECT id FROM list WHERE resource = {resource})")
            }
            Source::Named(list) => {
                let parent = self.param(list.parent.clone());
                let resource = self.param(list.resource.to_owned());
                format!(
                    "list = (SELECT id FROM list WHERE parent = {parent} AND resource = {resource})"
                )
            }
        }
    }

    fn arm(&mut self, deleted: &str, conditions: &str) {
        self.push(format_args!(
            "SELECT id, last_modified, {deleted}, data FROM object WHERE {conditions}"
        ));
    }

    fn order(&mut self, sort: &[Sort]) {
        self.text += " ORDER BY ";
        if sort.is_empty() {
            self.text += "last_modified DESC";
        }
        for (n, sort) in sort.iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            let direction = if sort.descending { " DESC" } else { "" };
            let column = match &sort.field {
                Field::Id => "id".to_owned(),
                Field::LastModified => "last_modified".to_owned(),
                Field::Data(path) => json_key(path),
            };
            self.push(format_args!("{separator}{column}{direction}"));
        }
    }

    /// The conditions of `query`, each with ` AND ` before it.
    fn conditions(&mut self, query: &Query, page: bool) -> String {
        let mut all = String::new();
        for filter in &query.filters {
            all = all + " AND " + &self.condition(filter);
        }
        if page && !query.page.is_empty() {
            let pages: Vec<_> = query.page.iter().map(|page| self.conjunction(page)).collect();
            all = all + " AND (" + &pages.join(" OR ") + ")";
            if let Some(bound) = page_bound(query) {
                all = all + " AND " + &self.condition(&bound);
            }
        }
        if let Some(ids) = &query.ids {
            all = all + " AND " + &self.one_of(ids.iter().map(String::as_str));
        }
        all
    }

    fn conjunction(&mut self, filters: &[Filter]) -> String {
        let all: Vec<_> = filters.iter().map(|filter| self.condition(filter)).collect();
        if all.is_empty() { "1".to_owned() } else { format!("({})", all.join(" AND ")) }
    }

    fn condition(&mut self, filter: &Filter) -> String {
        match &filter.field {
            Field::Data(path) => self.data_condition(path, &filter.op),
            Field::Id => self.column_condition("id", &filter.op),
            Field::LastModified => self.column_condition("last_modified", &filter.op),
        }
    }

    fn data_condition(&mut self, path: &[String], op: &Op) -> String {
        let literal = path_literal(path);
        let mut call = |function: &str, argument: String| {
            format!("{function}(data, {literal}, {})", self.param(argument))
        };
        match op {
            Op::Like(pattern) => call("json_like", pattern.clone()),
            Op::Contains(items) => call("json_contains", Value::from(items.as_slice()).to_string()),
            Op::ContainsAny(items) => {
                call("json_contains_any", Value::from(items.as_slice()).to_string())
            }
            _ => self.key_condition(&json_key(path), op),
        }
    }

    /// A condition on a column that is never missing; by plain comparison where that is the same.
    fn column_condition(&mut self, column: &str, op: &Op) -> String {
        if let Some((operator, value)) = comparison(op)
            && let Some(param) = plain(column, value)
        {
            return format!("{column} {operator} {}", self.param(param));
        }
        match op {
            Op::In(values) if column == "id" => {
                self.one_of(values.iter().filter_map(Value::as_str))
            }
            Op::Exclude(values) if column == "id" => {
                format!("NOT {}", self.one_of(values.iter().filter_map(Value::as_str)))
            }
            Op::Like(pattern) => format!("value_like({column}, {})", self.param(pattern.clone())),
            Op::Contains(_) | Op::ContainsAny(_) => "0".to_owned(),
            _ => self.key_condition(&format!("value_key({column})"), op),
        }
    }

    /// A condition on a key.
    fn key_condition(&mut self, key: &str, op: &Op) -> String {
        if let Some((operator, value)) = comparison(op) {
            return format!("{key} {operator} {}", self.param(key::of(value)));
        }
        match op {
            Op::In(values) => self.key_in(key, values),
            Op::Exclude(values) => format!("NOT {}", self.key_in(key, values)),
            Op::Has(true) => format!("{key} < x'ff'"),
            _ => format!("{key} = x'ff'"),
        }
    }

    fn key_in(&mut self, key: &str, values: &[Value]) -> String {
        let keys: Vec<_> = values.iter().map(key::of).collect();
        if keys.len() > MAX_IN {
            return format!("key_in({key}, {})", self.param(functions::key_set(&keys)));
        }
        let keys: Vec<_> = keys.into_iter().map(|key| self.param(key)).collect();
        format!("{key} IN ({})", keys.join(", "))
    }

    fn one_of<'a>(&mut self, ids: impl Iterator<Item = &'a str>) -> String {
        let ids = Value::from(ids.collect::<Vec<_>>()).to_string();
        format!("id IN (SELECT value FROM json_each({}))", self.param(ids))
    }
}

/// What all alternatives of a page have in common: a bound on the first field of the order, which
/// an index on that can begin at.
fn page_bound(query: &Query) -> Option<Filter> {
    let field = &query.sort.first()?.field;
    let firsts = query.page.iter().map(|page| page.first().filter(|first| first.field == *field));
    let firsts = firsts.collect::<Option<Vec<_>>>().filter(|firsts| firsts.len() > 1)?;
    let (_, value) = comparison(&firsts[0].op)?;
    let all = |op: fn(&Op) -> Option<&Value>| {
        firsts.iter().all(|first| op(&first.op).is_some_and(|other| other == value))
    };
    let op = if all(|op| match op {
        Op::Eq(value) | Op::Gt(value) => Some(value),
        _ => None,
    }) {
        Op::Min(value.clone())
    } else if all(|op| match op {
        Op::Eq(value) | Op::Lt(value) => Some(value),
        _ => None,
    }) {
        Op::Max(value.clone())
    } else {
        return None;
    };
    Some(Filter { field: field.clone(), op })
}

/// The SQL operator and the operand of a comparison.
fn comparison(op: &Op) -> Option<(&'static str, &Value)> {
    Some(match op {
        Op::Eq(value) => ("=", value),
        Op::Not(value) => ("<>", value),
        Op::Lt(value) => ("<", value),
        Op::Max(value) => ("<=", value),
        Op::Gt(value) => (">", value),
        Op::Min(value) => (">=", value),
        _ => return None,
    })
}

/// The value as the engine compares it with `column`; `None` if it has another type.
fn plain(column: &str, value: &Value) -> Option<Param> {
    if column == "id" {
        value.as_str().map(|text| Param::from(text.to_owned()))
    } else {
        value.as_i64().map(Param::from)
    }
}
