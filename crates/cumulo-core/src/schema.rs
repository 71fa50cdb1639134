//! JSON schemas on collections, groups and buckets.
//!
//! Schemas are Draft 7 unless their `$schema` names another draft. Nothing is fetched: a reference
//! leads into the schema itself, or validation fails. Formats are not looked at.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, RwLock},
};

use jsonschema::{Draft, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, Invalid, Location, Result},
    params::body::python_repr,
};

/// Checks the syntax of a schema against the meta-schema of Draft 7.
///
/// The error is a description.
pub fn check(schema: &Value) -> std::result::Result<(), String> {
    match jsonschema::draft7::meta::validate(schema) {
        Ok(()) => Ok(()),
        Err(error) => {
            let place = error.instance_path().to_string();
            let last = place.rsplit('/').next().unwrap_or("").to_owned();
            Err(format!("{last}{}", message(&error)))
        }
    }
}

/// Compiled schemas by their text.
#[derive(Debug, Default)]
pub struct Schemas {
    compiled: RwLock<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    /// How many are kept; then it starts over.
    const CAPACITY: usize = 1000;

    /// Validates `object` against `schema`. `ignored` fields are neither looked at nor required,
    /// and `id` only if the schema defines it.
    pub fn validate(
        &self,
        schema: &Value,
        object: &Map<String, Value>,
        ignored: &[&str],
    ) -> Result<()> {
        let defines_id = schema["properties"].get("id").is_some();
        let is_ignored = |name: &str| ignored.contains(&name) || (name == "id" && !defines_id);
        let validator = self.compiled(&without_required(schema, is_ignored))?;
        let seen: Map<_, _> = object
            .iter()
            .filter(|(name, _)| !is_ignored(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        validator.validate(&Value::Object(seen)).map_err(|error| invalid(&error))
    }

    fn compiled(&self, schema: &Value) -> Result<Arc<Validator>> {
        let text = schema.to_string();
        if let Some(validator) = self.compiled.read().expect("no panic inside").get(&text) {
            return Ok(Arc::clone(validator));
        }
        let mut schema = Cow::Borrowed(schema);
        let mut draft = Draft::Draft7.detect(&schema);
        if draft == Draft::Unknown {
            draft = Draft::Draft7;
            schema.to_mut().as_object_mut().map(|schema| schema.remove("$schema"));
        }
        let validator = jsonschema::options()
            .with_draft(draft)
            .should_validate_formats(false)
            .build(&schema)
            .map_err(|error| Invalid::new(Location::Body, "schema", error.to_string()))?;
        let validator = Arc::new(validator);
        let mut compiled = self.compiled.write().expect("no panic inside");
        if compiled.len() >= Self::CAPACITY {
            compiled.clear();
        }
        compiled.insert(text, Arc::clone(&validator));
        Ok(validator)
    }
}

/// The schema, with ignored fields taken out of what is required.
fn without_required(schema: &Value, is_ignored: impl Fn(&str) -> bool) -> Value {
    let mut schema = schema.clone();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(&is_ignored));
    }
    schema
}

fn invalid(error: &ValidationError<'_>) -> ApiError {
    Invalid::new(Location::Body, field(error), message(error)).into()
}

/// The name of what is wrong: where it is in the object, or else what the schema says of it.
fn field(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    if let Some(name) = path.rsplit('/').next().filter(|name| !name.is_empty()) {
        return name.replace("~1", "/").replace("~0", "~");
    }
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            property.as_str().map_or_else(|| property.to_string(), str::to_owned)
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.first().cloned().unwrap_or_default()
        }
        _ => {
            let place = error.schema_path().to_string();
            place.rsplit('/').next().unwrap_or("schema").to_owned()
        }
    }
}

/// The message, in the reference server's words where its clients may look for them.
fn message(error: &ValidationError<'_>) -> String {
    let value = python_repr(error.instance());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("{} is a required property", python_repr(property))
        }
        ValidationErrorKind::Type { .. } => {
            let text = error.to_string();
            let kind = text.rsplit("of type").next().or_else(|| text.rsplit("of types").next());
            match kind {
                Some(kind) => format!("{value} is not of type{}", kind.replace('"', "'")),
                None => text,
            }
        }
        ValidationErrorKind::Enum { options } => {
            format!("{value} is not one of {}", python_repr(options))
        }
        ValidationErrorKind::AnyOf { .. } => {
            format!("{value} is not valid under any of the given schemas")
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| format!("'{name}'")).collect();
            let were = if names.len() == 1 { "was" } else { "were" };
            format!(
                "Additional properties are not allowed ({} {were} unexpected)",
                names.join(", ")
            )
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn validate(schema: &Value, object: &Value) -> Option<(String, String)> {
        let Value::Object(object) = object else { panic!("an object") };
        let error = Schemas::default().validate(schema, object, &["last_modified"]).err()?;
        let detail = error.details.unwrap()[0].clone();
        Some((
            detail["name"].as_str().unwrap().to_owned(),
            detail["description"].as_str().unwrap().to_owned(),
        ))
    }

    #[test]
    fn syntax_is_checked_against_draft_7() {
        assert!(check(&json!({"type": "object", "properties": {"a": {"type": "string"}}})).is_ok());
        assert!(check(&json!({"items": [{"type": "string"}]})).is_ok());
        let problem = check(&json!({"properties": {"a": {"type": "foo"}}})).unwrap_err();
        assert_eq!(problem, "type'foo' is not valid under any of the given schemas");
        assert!(check(&json!({"minimum": 1, "exclusiveMinimum": true})).is_err());
    }

    #[test]
    fn problems_name_the_field() {
        let schema = json!({
            "type": "object",
            "properties": {"title": {"type": "string"}, "n": {"enum": [1, "a"]}},
            "required": ["title", "last_modified", "id"],
        });
        assert_eq!(validate(&schema, &json!({"title": "x"})), None);
        assert_eq!(
            validate(&schema, &json!({"title": 42})),
            Some(("title".into(), "42 is not of type 'string'".into()))
        );
        assert_eq!(
            validate(&schema, &json!({})),
            Some(("title".into(), "'title' is a required property".into()))
        );
        assert_eq!(
            validate(&schema, &json!({"title": "", "n": 2})),
            Some(("n".into(), "2 is not one of [1, 'a']".into()))
        );
    }

    #[test]
    fn top_level_keywords_are_named() {
        assert_eq!(validate(&json!({"minProperties": 1}), &json!({})).unwrap().0, "minProperties");
        assert_eq!(
            validate(
                &json!({"properties": {"y": {}}, "additionalProperties": false}),
                &json!({"x": 1})
            ),
            Some(("x".into(), "Additional properties are not allowed ('x' was unexpected)".into()))
        );
    }

    #[test]
    fn an_unknown_dialect_counts_as_draft_7() {
        for dialect in [json!("http://unknown/"), json!(""), json!("not a url")] {
            let schema = json!({"$schema": dialect, "properties": {"a": {"type": "string"}}});
            assert_eq!(validate(&schema, &json!({"a": "x"})), None, "{schema}");
            assert_eq!(validate(&schema, &json!({"a": 1})).unwrap().0, "a", "{schema}");
        }
    }

    #[test]
    fn formats_are_not_checked() {
        let schema = json!({"properties": {"a": {"format": "date"}}});
        assert_eq!(validate(&schema, &json!({"a": "x"})), None);
    }

    #[test]
    fn references_lead_nowhere_outside() {
        let schema = json!({"properties": {"a": {"$ref": "http://localhost:1/schema.json"}}});
        assert_eq!(validate(&schema, &json!({"a": 1})).unwrap().0, "schema");
    }
}
