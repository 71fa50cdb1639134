//! Queries as SQL of PostgreSQL.
//!
//! `jsonb` compares as [`cumulo_core::query::key`] does, but for one oddity: at the top, an empty
//! array counts as less than a string, number or boolean. Comparisons and orders here correct that.

use std::fmt::Write;

use cumulo_core::{
    object::{List, Timestamp},
    query::{Field, Filter, Op, Query, Sort},
};
use serde_json::Value;

use super::command::{Command, Param};

/// Selects id, timestamp, whether it is a tombstone, and data of what matches `query`.
pub(super) fn select(list: &List, query: &Query) -> Command {
    select_from(Builder::of_list(list), query)
}

/// [`select`] from all lists of a resource.
pub(super) fn select_all(resource: &str, query: &Query) -> Command {
    select_from(Builder::of_resource(resource), query)
}

fn select_from(mut sql: Builder, query: &Query) -> Command {
    let source = sql.source;
    sql.push("SELECT id, last_modified, deleted, data FROM objects WHERE ");
    sql.push(source);
    sql.conditions(query);
    sql.page(&query.page);
    sql.order(&query.sort);
    if let Some(limit) = query.limit {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        sql.push(&format!(" LIMIT {limit}"));
    }
    sql.finish()
}

/// Counts the live objects that match the filters of `query`.
pub(super) fn count(list: &List, query: &Query) -> Command {
    let mut sql = Builder::of_list(list);
    sql.push("SELECT count(*) FROM objects WHERE ");
    sql.push(sql.source);
    sql.conditions(&Query { tombstones: false, ..query.clone() });
    sql.finish()
}

/// The value at `path`, null if there is none.
fn value_at(path: &[String]) -> String {
    let mut text = "data".to_owned();
    for name in path {
        write!(text, "->{}", quote(name)).expect("writing to a string can't fail");
    }
    text
}

/// A text literal; sessions have `standard_conforming_strings` on. No name has a zero byte.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\0', ""))
}

/// Whether the value is an array or an object: these come after all others.
fn is_container(value: &str) -> String {
    format!("jsonb_typeof({value}) IN ('array', 'object')")
}

struct Builder {
    /// The condition on the columns `parent_id` and `resource_name`.
    source: &'static str,
    text: String,
    params: Vec<Param>,
}

impl Builder {
    fn of_list(list: &List) -> Self {
        let source = "parent_id = $1 AND resource_name = $2";
        let params = vec![Param::Text(list.parent.clone()), Param::from(list.resource)];
        Self { source, text: String::with_capacity(256), params }
    }

    fn of_resource(resource: &str) -> Self {
        let params = vec![Param::from(resource)];
        Self { source: "resource_name = $1", text: String::with_capacity(256), params }
    }

    fn finish(self) -> Command {
        Command::new(self.text, self.params)
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a parameter and returns its name.
    fn param(&mut self, value: Param) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }

    fn json(&mut self, value: &Value) -> String {
        self.param(Param::Json(value.to_string()))
    }

    fn jsons(&mut self, values: &[Value]) -> String {
        self.param(Param::Jsons(values.iter().map(Value::to_string).collect()))
    }

    fn conditions(&mut self, query: &Query) {
        if !query.tombstones {
            self.push(" AND NOT deleted");
        }
        for filter in &query.filters {
            let condition = self.condition(filter);
            self.push(" AND ");
            self.push(&condition);
        }
        if let Some(ids) = &query.ids {
            let ids = self.param(Param::Texts(ids.clone()));
            self.push(&format!(" AND id = ANY({ids})"));
        }
    }

    fn page(&mut self, page: &[Vec<Filter>]) {
        if page.is_empty() {
            return;
        }
        let any: Vec<_> = page.iter().map(|all| self.conjunction(all)).collect();
        self.push(&format!(" AND ({})", any.join(" OR ")));
    }

    fn conjunction(&mut self, filters: &[Filter]) -> String {
        let all: Vec<_> = filters.iter().map(|filter| self.condition(filter)).collect();
        if all.is_empty() { "true".to_owned() } else { format!("({})", all.join(" AND ")) }
    }

    fn order(&mut self, sort: &[Sort]) {
        self.push(" ORDER BY ");
        if sort.is_empty() {
            self.push("last_modified DESC");
        }
        for (n, sort) in sort.iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            let direction = if sort.descending { " DESC" } else { "" };
            let keys = match &sort.field {
                Field::Id => vec!["id".to_owned()],
                Field::LastModified => vec!["last_modified".to_owned()],
                Field::Data(path) => {
                    let value = value_at(path);
                    vec![is_container(&value), value]
                }
            };
            let keys: Vec<_> = keys.into_iter().map(|key| key + direction).collect();
            self.push(&keys.join(", "));
        }
    }

    fn condition(&mut self, filter: &Filter) -> String {
        match &filter.field {
            Field::Data(path) => self.data_condition(&value_at(path), &filter.op),
            Field::Id => self.column_condition("id", "id", &filter.op, |value| {
                value.as_str().map(|text| Param::Text(text.to_owned()))
            }),
            Field::LastModified => self.column_condition(
                "last_modified",
                "as_epoch(last_modified)",
                &filter.op,
                |value| value.as_i64().map(|number| Param::Time(Timestamp(number))),
            ),
        }
    }

    fn data_condition(&mut self, value: &str, op: &Op) -> String {
        match op {
            Op::Lt(bound) | Op::Max(bound) => self.below(value, bound, matches!(op, Op::Max(_))),
            Op::Gt(bound) | Op::Min(bound) => {
                let below = self.below(value, bound, matches!(op, Op::Gt(_)));
                format!("({below}) IS NOT TRUE")
            }
            Op::Like(pattern) => {
                let pattern = self.param(Param::Text(like(pattern)));
                // The text of null is null.
                format!("coalesce({value} #>> '{{}}', ({value})::text) ILIKE {pattern}")
            }
            Op::Contains(items) => {
                let items = self.json(&Value::from(items.as_slice()));
                format!("(jsonb_typeof({value}) = 'array' AND {value} @> {items})")
            }
            Op::ContainsAny(items) => {
                let items = self.jsons(items);
                format!(
                    "EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof({value}) \
                     WHEN 'array' THEN {value} ELSE '[]' END) AS item WHERE item = ANY({items}))"
                )
            }
            _ => self.equality(value, op),
        }
    }

    /// That the value is less than a bound, or equals it.
    fn below(&mut self, value: &str, bound: &Value, or_equal: bool) -> String {
        let operator = if or_equal { "<=" } else { "<" };
        let is_empty = bound.as_array().is_some_and(Vec::is_empty);
        let is_scalar = !bound.is_array() && !bound.is_object();
        if is_empty {
            let equals = if or_equal { format!(" OR {value} = '[]'") } else { String::new() };
            return format!("(NOT {}{equals})", is_container(value));
        }
        let bound = self.json(bound);
        let not_empty = if is_scalar { format!(" AND {value} <> '[]'") } else { String::new() };
        format!("({value} {operator} {bound}{not_empty})")
    }

    /// A condition on a column that is never null, which the engine compares with what `plain`
    /// makes of a value, or else as JSON.
    fn column_condition(
        &mut self,
        column: &str,
        shown: &str,
        op: &Op,
        plain: impl Fn(&Value) -> Option<Param>,
    ) -> String {
        let comparison = match op {
            Op::Eq(value) => Some(("=", value)),
            Op::Not(value) => Some(("<>", value)),
            Op::Lt(value) => Some(("<", value)),
            Op::Max(value) => Some(("<=", value)),
            Op::Gt(value) => Some((">", value)),
            Op::Min(value) => Some((">=", value)),
            _ => None,
        };
        if let Some((operator, value)) = comparison
            && let Some(param) = plain(value)
        {
            return format!("{column} {operator} {}", self.param(param));
        }
        match op {
            Op::Like(pattern) => {
                let pattern = self.param(Param::Text(like(pattern)));
                format!("{shown}::text ILIKE {pattern}")
            }
            Op::Contains(_) | Op::ContainsAny(_) => "false".to_owned(),
            _ => self.data_condition(&format!("to_jsonb({shown})"), op),
        }
    }

    fn equality(&mut self, value: &str, op: &Op) -> String {
        match op {
            Op::Eq(wanted) => format!("{value} = {}", self.json(wanted)),
            Op::Not(other) => format!("{value} IS DISTINCT FROM {}", self.json(other)),
            Op::In(wanted) => format!("{value} = ANY({})", self.jsons(wanted)),
            Op::Exclude(others) => format!("({value} = ANY({})) IS NOT TRUE", self.jsons(others)),
            Op::Has(true) => format!("{value} IS NOT NULL"),
            _ => format!("{value} IS NULL"),
        }
    }
}

/// A pattern where only `*` is special, as one of `LIKE`.
fn like(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 2);
    for character in pattern.chars() {
        match character {
            '*' => out.push('%'),
            '%' | '_' | '\\' => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_that_a_client_sends_is_sql() {
        let path = vec!["it's".to_owned(), "\\".to_owned(), "a\0b".to_owned()];
        let filter = Filter { field: Field::Data(path), op: Op::Eq(json!("'; DROP")) };
        let query = Query { filters: vec![filter], ..Query::default() };
        let command = select(&List::new("/buckets/b", "group"), &query);
        let wanted = r"SELECT id, last_modified, deleted, data FROM objects WHERE parent_id = $1 AND resource_name = $2 AND NOT deleted AND data->'it''s'->'\'->'ab' = $3 ORDER BY last_modified DESC";
        assert_eq!(command.sql, wanted);
        assert_eq!(command.params[2], Param::Json("\"'; DROP\"".to_owned()));
    }

    #[test]
    fn only_the_asterisk_is_special() {
        assert_eq!(like(r"a*b%c_d\"), r"a%b\%c\_d\\");
    }
}
