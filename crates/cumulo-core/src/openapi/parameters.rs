//! The parameters that operations share, by their keys.

use serde_json::{Value, json};

use super::model::{Description, Parameter, Place, TAG};
use crate::{endpoint::write::TIMESTAMPS, params::querystring::OPERATORS};

/// The keys of what a list request takes, without `_fields`.
pub(super) const LIST: &[&str] = &[
    "_limit",
    "_sort",
    "_token",
    "_since",
    "_before",
    "_to",
    "filter.id",
    "filter.last_modified",
    "filters",
];
/// The keys of the preconditions.
pub(super) const PRECONDITIONS: &[&str] = &["If-Match", "If-None-Match"];

/// Adds them all.
pub(super) fn add(description: &mut Description) {
    let mut add = |key: &str, name: &str, place, schema: Value, text: &str| {
        let extra = matches!(key, "filters" | "deleted_at");
        let parameter = Parameter::new(name, place, schema, text);
        description.add_parameter(key, Parameter { extra, ..parameter });
    };
    let mut query = |name, schema, text| add(name, name, Place::Query, schema, text);
    query("_limit", whole(), "How many objects a page has at most.");
    query(
        "_sort",
        names("^[+-]?[\\w.]*$"),
        "Fields to sort by, each with `-` before it for descending order: `title,-priority`.",
    );
    query("_token", json!({"type": "string"}), "Where the page begins; part of `Next-Page`.");
    query(
        "_since",
        whole(),
        "Only what was changed after this timestamp, deleted objects included. It may be in \
         quotes, as in an `ETag`.",
    );
    query("_before", whole(), "Only what was changed before this timestamp.");
    query("_to", whole(), "The old name of `_before`.");
    query(
        "_fields",
        names(""),
        "The fields to show, dotted if nested. `id` and `last_modified` are always there.",
    );
    let text = "Only the object with this id. One that is JSON, such as a number, is in quotes.";
    add("filter.id", "id", Place::Query, json!({"type": "string"}), text);
    let text = "Only what was changed at this timestamp.";
    add("filter.last_modified", "last_modified", Place::Query, whole(), text);
    add("filters", "filters", Place::Query, fields(), &filters());
    let text = "The timestamp that the deletion gets, if it is later than that of the object.";
    let range = json!({
        "type": "integer", "minimum": TIMESTAMPS.start(), "maximum": TIMESTAMPS.end()
    });
    add("deleted_at", "last_modified", Place::Query, range, text);
    let mut header = |name, schema, text| add(name, name, Place::Header, schema, text);
    let tag = || json!({"type": "string", "pattern": TAG});
    header("If-Match", tag(), "Go on only if it has this `ETag`, or with `*` if it exists.");
    header(
        "If-None-Match",
        tag(),
        "Go on only if it has another `ETag`, or with `*` if it does not exist.",
    );
    header(
        "Response-Behavior",
        json!({"type": "string", "enum": ["full", "light", "diff"]}),
        "How much of the object to show: all, what was changed, or what differs from what was \
         sent.",
    );
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn names(pattern: &str) -> Value {
    let mut name = json!({"type": "string"});
    if !pattern.is_empty() {
        name["pattern"] = pattern.into();
    }
    json!({"type": "array", "items": name})
}

fn fields() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn filters() -> String {
    let operators: Vec<_> = OPERATORS.iter().map(|operator| format!("`{operator}`")).collect();
    format!(
        "Any other field filters by it: `title=Hello`, or nested `address.city=Oslo`. Before the \
         name may stand {}. Values are JSON if they can be read as such, else text.",
        operators.join(", ")
    )
}
