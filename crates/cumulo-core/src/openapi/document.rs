//! OpenAPI 3.1, with everything.

use serde_json::{Map, Value, json};

use super::{
    Template,
    model::{
        Answer, Content, Description, ERRORS, Error, HEADERS, Operation, Parameter, error_of,
        reference,
    },
};
use crate::{api::Api, params::headers::JSON};

/// The fields for the address, to be followed by others.
pub(super) fn address(api: &Api, origin: &str) -> String {
    let url = Value::from(format!("{origin}/{}", api.prefix()));
    format!("\"openapi\":\"3.1.0\",\"servers\":[{{\"url\":{url}}}],")
}

/// The document.
pub(super) fn write(api: &Api, description: &Description) -> Template {
    let mut paths = Map::new();
    for operation in &description.operations {
        let item = paths.entry(&operation.path).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_ascii_lowercase()] =
            write_operation(description, operation);
    }
    let tags: Vec<_> = description.tags().into_iter().map(|tag| json!({"name": tag})).collect();
    Template::json(&json!({
        "info": info(api),
        "externalDocs": {"url": api.settings.project_docs},
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": description.schemas,
            "parameters": parameters(description),
            "headers": headers(),
            "responses": errors(),
            "securitySchemes": description.security,
        },
    }))
}

fn info(api: &Api) -> Value {
    json!({
        "title": api.settings.project_name,
        "version": api.settings.http_api_version,
        "description": format!(
            "JSON records, synced and shared, over the protocol of Kinto. To be read: \
             `/{}/__api__/docs`.",
            api.prefix()
        ),
    })
}

fn write_operation(description: &Description, operation: &Operation) -> Value {
    let mut written = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    });
    if !operation.description.is_empty() {
        written["description"] = operation.description.into();
    }
    if !operation.parameters.is_empty() {
        let keys = operation.parameters.iter();
        written["parameters"] =
            keys.map(|key| json!({"$ref": format!("#/components/parameters/{key}")})).collect();
    }
    if let Some(body) = &operation.body {
        written["requestBody"] = json!({"required": true, "content": contents(&body.contents)});
    }
    written["responses"] = Value::Object(responses(operation));
    written["security"] = security(description, operation);
    written
}

/// Any of the ways to log in, or none: much can be open to everybody.
fn security(description: &Description, operation: &Operation) -> Value {
    if !operation.asks_who {
        return json!([]);
    }
    let ways = description.security.keys().map(|name| json!({name.as_str(): []}));
    ways.chain([json!({})]).collect()
}

fn contents(contents: &[Content]) -> Map<String, Value> {
    let write = |content: &Content| {
        let mut written = json!({"schema": content.schema});
        if let Some(example) = &content.example {
            written["example"] = example.clone();
        }
        (content.media_type.to_owned(), written)
    };
    contents.iter().map(write).collect()
}

fn responses(operation: &Operation) -> Map<String, Value> {
    let answers = operation.answers.iter();
    let answers = answers.map(|answer| (answer.status.to_string(), write_answer(answer)));
    let errors = operation.errors.iter().filter_map(|status| error_of(*status));
    let errors = errors.map(|error| {
        let written = if operation.is_head() {
            json!({"description": error.description})
        } else {
            json!({"$ref": format!("#/components/responses/{}", error.name)})
        };
        (error.status.to_string(), written)
    });
    answers.chain(errors).collect()
}

fn write_answer(answer: &Answer) -> Value {
    let mut written = json!({"description": answer.description});
    if !answer.headers.is_empty() {
        written["headers"] = Value::Object(header_references(&answer.headers));
    }
    if let Some(content) = &answer.content {
        written["content"] = Value::Object(contents(std::slice::from_ref(content)));
    }
    written
}

fn header_references(names: &[&str]) -> Map<String, Value> {
    let names = names.iter();
    names
        .map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
        .collect()
}

fn headers() -> Map<String, Value> {
    let write = |header: &super::model::Header| {
        json!({
            "description": header.description,
            "required": header.required,
            "schema": header.schema(),
        })
    };
    HEADERS.iter().map(|header| (header.name.to_owned(), write(header))).collect()
}

fn errors() -> Map<String, Value> {
    let write = |error: &Error| {
        let mut written = json!({
            "description": error.description,
            "content": {JSON: {"schema": reference("Error")}},
        });
        if !error.headers.is_empty() {
            written["headers"] = Value::Object(header_references(error.headers));
        }
        written
    };
    ERRORS.iter().map(|error| (error.name.to_owned(), write(error))).collect()
}

fn parameters(description: &Description) -> Map<String, Value> {
    let parameters = description.parameters.iter();
    parameters.map(|(key, parameter)| (key.clone(), write_parameter(parameter))).collect()
}

fn write_parameter(parameter: &Parameter) -> Value {
    let mut written = json!({
        "name": parameter.name,
        "in": parameter.place.as_str(),
        "description": parameter.description,
        "required": parameter.required,
        "schema": parameter.schema,
    });
    match parameter.schema["type"].as_str() {
        Some("array") => {
            written["style"] = "form".into();
            written["explode"] = false.into();
        }
        Some("object") => {
            written["style"] = "form".into();
            written["explode"] = true.into();
        }
        _ => {}
    }
    if let Some(example) = &parameter.example {
        written["example"] = example.clone();
    }
    written
}
