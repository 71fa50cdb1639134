//! Which objects of a list: <https://docs.kinto-storage.org/en/stable/api/1.x/filtering.html>

use serde::Serialize;
use serde_json::Value;

use crate::call::Call;

/// A condition on one field: [`field`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    name: String,
    value: String,
    problem: Option<String>,
}

/// A field to make a condition on. Fields in fields are named with dots: `author.name`.
///
/// ```
/// use cumulo_client::field;
///
/// let expensive = field("price").at_least(12.5);
/// let of_two = field("author.name").any_of(["ann", "bob"]);
/// ```
pub fn field(name: impl Into<String>) -> Field {
    Field(name.into())
}

/// A field of objects.
#[derive(Clone, Debug)]
pub struct Field(String);

impl Field {
    fn filter(self, prefix: &str, value: String) -> Filter {
        Filter { name: format!("{prefix}{}", self.0), value, problem: None }
    }

    fn filter_on_many<I: Serialize>(
        self,
        prefix: &str,
        values: impl IntoIterator<Item = I>,
    ) -> Filter {
        let values: Vec<_> = values.into_iter().map(|it| in_list(&it)).collect();
        let has_comma = |value: &&String| value.contains(',');
        let problem = values.iter().find(has_comma).map(|value| {
            format!("servers can't tell {value} from several values, because it has a comma")
        });
        Filter { problem, ..self.filter(prefix, values.join(",")) }
    }

    /// It is this.
    pub fn is(self, value: impl Serialize) -> Filter {
        self.filter("", one(&value))
    }

    /// It is something else, or missing.
    pub fn is_not(self, value: impl Serialize) -> Filter {
        self.filter("not_", one(&value))
    }

    /// It is less.
    pub fn less_than(self, value: impl Serialize) -> Filter {
        self.filter("lt_", one(&value))
    }

    /// It is this or less.
    pub fn at_most(self, value: impl Serialize) -> Filter {
        self.filter("max_", one(&value))
    }

    /// It is more.
    pub fn greater_than(self, value: impl Serialize) -> Filter {
        self.filter("gt_", one(&value))
    }

    /// It is this or more.
    pub fn at_least(self, value: impl Serialize) -> Filter {
        self.filter("min_", one(&value))
    }

    /// It is one of these. A value with a comma makes the call fail: the protocol has no way to say
    /// it.
    pub fn any_of<I: Serialize>(self, values: impl IntoIterator<Item = I>) -> Filter {
        self.filter_on_many("in_", values)
    }

    /// It is none of these. A value with a comma makes the call fail: the protocol has no way to say
    /// it.
    pub fn none_of<I: Serialize>(self, values: impl IntoIterator<Item = I>) -> Filter {
        self.filter_on_many("exclude_", values)
    }

    /// It has this text in it, whatever the case; `*` stands for any text.
    pub fn like(self, text: &str) -> Filter {
        self.filter("like_", one(&text))
    }

    /// It is there, or it is not.
    pub fn exists(self, exists: bool) -> Filter {
        self.filter("has_", exists.to_string())
    }

    /// It is a list that has all of these.
    pub fn contains<I: Serialize>(self, values: impl IntoIterator<Item = I>) -> Filter {
        self.filter("contains_", list(values))
    }

    /// It is a list that has one of these.
    pub fn contains_any<I: Serialize>(self, values: impl IntoIterator<Item = I>) -> Filter {
        self.filter("contains_any_", list(values))
    }
}

/// A value as the server reads it back: text as it is, unless it would be read as something else.
fn one(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) if !is_read_as_json(&text) => text,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Whether a server takes this text for JSON. Python reads more as such than the standard has.
fn is_read_as_json(text: &str) -> bool {
    matches!(text.trim(), "NaN" | "Infinity" | "-Infinity")
        || text.trim_start().starts_with(['"', '[', '{'])
        || serde_json::from_str::<Value>(text).is_ok()
}

/// A value among others, where no text at all would be no value.
fn in_list(value: &impl Serialize) -> String {
    let value = one(value);
    if value.is_empty() { "\"\"".to_owned() } else { value }
}

fn list<I: Serialize>(values: impl IntoIterator<Item = I>) -> String {
    let values: Vec<_> =
        values.into_iter().map(|it| serde_json::to_value(it).unwrap_or(Value::Null)).collect();
    Value::Array(values).to_string()
}

/// The parameters of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    params: Vec<(String, String)>,
    problem: Option<String>,
    pub(crate) limit: Option<usize>,
}

impl Query {
    pub(crate) fn filter(&mut self, filter: Filter) {
        self.params.push((filter.name, filter.value));
        self.problem = self.problem.take().or(filter.problem);
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.params.push((name.to_owned(), value.to_owned()));
    }

    /// Sets what can be there once.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.params.retain(|(other, _)| other != name);
        self.params.push((name.to_owned(), value.into()));
    }

    /// Puts the parameters into the URL, with pages of `page_size`.
    pub(crate) fn write(&self, call: &mut Call, page_size: Option<usize>) {
        if let Some(problem) = &self.problem {
            call.refuse(problem);
        }
        for (name, value) in &self.params {
            call.param(name, value);
        }
        if let Some(size) = page_size {
            call.param("_limit", &size.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(filter: &Filter) -> String {
        format!("{}={}", filter.name, filter.value)
    }

    #[test]
    fn text_is_quoted_where_it_would_be_read_as_something_else() {
        for (filter, expected) in [
            (field("a").is("milk"), "a=milk"),
            (field("a").is("12"), "a=\"12\""),
            (field("a").is("true"), "a=\"true\""),
            (field("a").is("null"), "a=\"null\""),
            (field("a").is("\"b\""), "a=\"\\\"b\\\"\""),
            (field("a").is(12), "a=12"),
            (field("a").is(true), "a=true"),
            (field("a").is_not(None::<u8>), "not_a=null"),
            (field("a.b").at_least(1.5), "min_a.b=1.5"),
            (field("a").any_of(["x", "12"]), "in_a=x,\"12\""),
            (field("a").any_of([1, 2]), "in_a=1,2"),
            (field("a").contains(["x"]), "contains_a=[\"x\"]"),
            (field("a").any_of([""]), "in_a=\"\""),
            (field("a").any_of::<u8>([]), "in_a="),
            (field("a").is(" NaN"), "a=\" NaN\""),
            (field("a").is("[draft"), "a=\"[draft\""),
            (field("a").like("mi*k"), "like_a=mi*k"),
            (field("a").exists(false), "has_a=false"),
        ] {
            assert_eq!(shown(&filter), expected);
        }
    }
}
