//! Which objects of a list: <https://docs.kinto-storage.org/en/stable/api/1.x/filtering.html>

use serde::Serialize;
use serde_json::Value;

use crate::call::Call;

/// A condition on one field: [`field`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    name: String,
    value: String,
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
        Filter { name: format!("{prefix}{}", self.0), value }
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

    /// It is one of these.
    pub fn any_of<I: Serialize>(self, values: impl IntoIterator<Item = I>) -> Filter {
        self.filter("in_", many(values))
    }

    /// It is none of these.
    pub fn none_of<I: Serialize>(self, values: impl IntoIterator<Item = I>) -> Filter {
        self.filter("exclude_", many(values))
    }

    /// It has this text in it, whatever the case; `*` stands for any text.
    pub fn like(self, text: &str) -> Filter {
        self.filter("like_", text.to_owned())
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
        Ok(Value::String(text)) if serde_json::from_str::<Value>(&text).is_err() => text,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Values of a list that commas separate. One that is text is told from an empty list by a comma.
fn many<I: Serialize>(values: impl IntoIterator<Item = I>) -> String {
    values.into_iter().map(|it| one(&it)).collect::<Vec<_>>().join(",")
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
    pub(crate) limit: Option<usize>,
}

impl Query {
    pub(crate) fn filter(&mut self, filter: Filter) {
        self.params.push((filter.name, filter.value));
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
            (field("a").like("mi*k"), "like_a=mi*k"),
            (field("a").exists(false), "has_a=false"),
        ] {
            assert_eq!(shown(&filter), expected);
        }
    }
}
