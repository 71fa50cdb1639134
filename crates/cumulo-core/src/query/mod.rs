//! How lists are asked: filters, order, page and limit as one tree.
//!
//! A store either translates the tree to its own language or evaluates it with
//! [`Query::matches`] and [`Query::compare`]. Values are compared by their [`key`].

mod eval;
pub mod key;

use serde_json::Value;

/// A question to one list. The default matches every live object, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Where the page starts: one of these conjunctions must hold; empty for the first page.
    pub page: Vec<Vec<Filter>>,
    /// The order; ends with a field that is unique in the list. Empty means newest first.
    pub sort: Vec<Sort>,
    /// How many objects at the most; all if absent.
    pub limit: Option<usize>,
    /// Whether tombstones match too.
    pub tombstones: bool,
    /// If present, only objects with one of these ids match.
    pub ids: Option<Vec<String>>,
}

/// What a filter or an order looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The object's id, a text.
    Id,
    /// The object's timestamp, an integer.
    LastModified,
    /// A place in the data: the names that lead there, at least one.
    Data(Vec<String>),
}

/// One order criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What to compare.
    pub field: Field,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// One condition.
///
/// [`Field::Id`] and [`Field::LastModified`] only come with `Eq`, `Not`, `Lt`, `Max`, `Gt`, `Min`,
/// and the id also with `In`, `Exclude`, `Like`; their values are strings and integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// What is looked at.
    pub field: Field,
    /// What must hold.
    pub op: Op,
}

/// The condition on a field. A missing value counts as larger than every other.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Equals; a missing value equals nothing.
    Eq(Value),
    /// Differs; a missing value does.
    Not(Value),
    /// Less than.
    Lt(Value),
    /// At most.
    Max(Value),
    /// More than, or missing.
    Gt(Value),
    /// At least, or missing.
    Min(Value),
    /// Equals one of these.
    In(Vec<Value>),
    /// Equals none of these.
    Exclude(Vec<Value>),
    /// Text that matches the pattern without regard to case; only `*` is special, for any run of
    /// characters. Other values match by their JSON text, with a space after each comma and colon;
    /// a missing one doesn't.
    Like(String),
    /// The field is there (or, if false, is not); null counts as there.
    Has(bool),
    /// An array that contains all of these, each as a whole or, for objects and arrays, in part
    /// (the containment of PostgreSQL's `jsonb @>`).
    Contains(Vec<Value>),
    /// An array with an element that equals one of these.
    ContainsAny(Vec<Value>),
    /// The field is missing. Only pages ask this.
    Missing,
}

impl Query {
    /// Makes texts of the numbers, and of true and false, that filters compare these fields with.
    pub fn compare_as_text(&mut self, fields: &[&str]) {
        for Filter { field, op } in &mut self.filters {
            if matches!(field, Field::Data(path) if fields.iter().any(|name| path == &[*name])) {
                let values = op.values_mut().iter_mut();
                values.filter(|value| value.is_number() || value.is_boolean()).for_each(|value| {
                    *value = Value::from(value.to_string());
                });
            }
        }
    }
}

impl Op {
    /// What the field is compared with.
    fn values_mut(&mut self) -> &mut [Value] {
        match self {
            Self::Eq(value)
            | Self::Not(value)
            | Self::Lt(value)
            | Self::Max(value)
            | Self::Gt(value)
            | Self::Min(value) => std::slice::from_mut(value),
            Self::In(values) | Self::Exclude(values) => values,
            Self::Contains(_)
            | Self::ContainsAny(_)
            | Self::Like(_)
            | Self::Has(_)
            | Self::Missing => &mut [],
        }
    }
}
