//! Swagger 2.0: the operations that Kinto's document has, with its names, and like there without
//! definitions.

use serde_json::{Map, Value, json};

use super::{
    Template,
    model::{Answer, Description, Operation, Parameter, Place, error_of, header_of},
};
use crate::{api::Api, params::headers::JSON_PATCH};

/// Kinto's names for tags and operations where ours are others.
const RENAMED: &[(&str, &str)] = &[
    ("Permissions", "Permissionss"),
    ("get_permissions", "get_permissionss"),
    ("User data", "User-datas"),
    ("delete_user_data", "delete_user-data"),
    ("Snapshots", "History_snapshot"),
    ("OpenID login", "Openid_login"),
    ("OpenID token", "Openid_token"),
];

/// The fields for the address, to be followed by others.
pub(super) fn address(origin: &str) -> String {
    let (scheme, host) = origin.split_once("://").unwrap_or(("http", origin));
    format!("\"host\":{},\"schemes\":[{}],", Value::from(host), Value::from(scheme))
}

/// The document.
pub(super) fn write(api: &Api, description: &Description) -> Template {
    let writer = Writer(description);
    let schemes = description
        .security
        .iter()
        .filter_map(|(name, scheme)| Some((name.clone(), security_scheme(scheme)?)));
    let tags: Vec<_> =
        description.tags().into_iter().map(|tag| json!({"name": renamed(tag)})).collect();
    let operations = description.operations.iter().filter(|operation| !operation.extra);
    let mut paths = Map::new();
    for operation in operations {
        let item = paths.entry(&operation.path).or_insert_with(|| writer.path_item(operation));
        item[operation.method.as_str().to_ascii_lowercase()] = writer.operation(operation);
    }
    Template::json(&json!({
        "swagger": "2.0",
        "info": {
            "title": api.settings.project_name,
            "version": api.settings.http_api_version,
        },
        "basePath": format!("/{}", api.prefix()),
        "securityDefinitions": schemes.collect::<Map<_, _>>(),
        "tags": tags,
        "paths": paths,
    }))
}

fn renamed(name: &str) -> &str {
    RENAMED.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, kinto)| kinto)
}

/// A way to log in; none where version 2 has no word for it.
fn security_scheme(scheme: &Value) -> Option<Value> {
    match scheme["type"].as_str()? {
        "http" if scheme["scheme"] == "basic" => Some(json!({"type": "basic"})),
        "oauth2" => {
            let flow = scheme["flows"].get("implicit")?;
            Some(json!({
                "type": "oauth2", "flow": "implicit",
                "authorizationUrl": flow["authorizationUrl"], "scopes": flow["scopes"],
            }))
        }
        _ => None,
    }
}

struct Writer<'a>(&'a Description);

impl Writer<'_> {
    /// What the operations of a path have in common: the parameters in it.
    fn path_item(&self, operation: &Operation) -> Value {
        let in_path =
            self.0.parameters_of(operation).filter(|parameter| parameter.place == Place::Path);
        let parameters: Vec<_> = in_path.map(|parameter| self.parameter(parameter)).collect();
        if parameters.is_empty() { json!({}) } else { json!({"parameters": parameters}) }
    }

    fn operation(&self, operation: &Operation) -> Value {
        let mut written = json!({
            "operationId": renamed(&operation.id),
            "tags": [renamed(&operation.tag)],
            "summary": operation.summary,
            "produces": ["application/json"],
            "parameters": self.parameters(operation),
            "responses": self.responses(operation),
            "security": self.security(operation),
        });
        if !operation.description.is_empty() {
            written["description"] = operation.description.into();
        }
        if let Some(body) = &operation.body {
            let types = body.contents.iter().map(|content| content.media_type);
            written["consumes"] = types.filter(|name| *name != JSON_PATCH).collect();
        }
        written
    }

    fn parameters(&self, operation: &Operation) -> Vec<Value> {
        let parameters = self.0.parameters_of(operation);
        let own = parameters.filter(|one| one.place != Place::Path && !one.extra);
        let mut written: Vec<_> = own.map(|parameter| self.parameter(parameter)).collect();
        if let Some(body) = &operation.body
            && let Some(content) = body.contents.first()
        {
            let mut schema = self.schema(&content.schema);
            schema["title"] = body.title.into();
            written.push(json!({
                "name": body.title, "in": "body", "required": true, "schema": schema,
            }));
        }
        written
    }

    fn parameter(&self, parameter: &Parameter) -> Value {
        let mut written = json!({
            "name": parameter.name,
            "in": parameter.place.as_str(),
            "description": parameter.description,
            "required": parameter.required,
        });
        merge(&mut written, self.schema(&parameter.schema));
        written
    }

    fn security(&self, operation: &Operation) -> Vec<Value> {
        let names = self.0.security.iter().filter(|(_, scheme)| security_scheme(scheme).is_some());
        let names = names.filter(|_| operation.asks_who);
        names.map(|(name, _)| json!({name.as_str(): []})).collect()
    }

    /// The answers, the errors that Kinto's document has, and one for all others.
    fn responses(&self, operation: &Operation) -> Map<String, Value> {
        let answers = operation.answers.iter();
        let mut responses: Map<_, _> =
            answers.map(|answer| (answer.status.to_string(), self.answer(answer))).collect();
        let mut error = self.schema(&super::model::reference("Error"));
        error["title"] = "ErrorSchema".into();
        for status in
            operation.errors.iter().filter(|status| ![409, 413, 429, 503].contains(*status))
        {
            let Some(known) = error_of(*status) else { continue };
            let response = json!({"description": known.description, "schema": error});
            responses.insert(status.to_string(), response);
        }
        if !operation.errors.is_empty() {
            let other = json!({"description": "Any other error.", "schema": error});
            responses.insert("default".to_owned(), other);
        }
        responses
    }

    fn answer(&self, answer: &Answer) -> Value {
        let mut written = json!({"description": answer.description});
        if let Some(content) = &answer.content {
            written["schema"] = self.schema(&content.schema);
        }
        let headers: Map<_, _> =
            answer.headers.iter().filter_map(|name| self.header(name)).collect();
        if !headers.is_empty() {
            written["headers"] = headers.into();
        }
        written
    }

    fn header(&self, name: &str) -> Option<(String, Value)> {
        let header = header_of(name).filter(|header| header.required)?;
        let mut written = json!({"description": header.description});
        merge(&mut written, self.schema(&header.schema()));
        Some((header.name.to_owned(), written))
    }

    /// A schema with everything that it refers to inside.
    fn schema(&self, schema: &Value) -> Value {
        match self.0.resolve(schema) {
            Value::Object(map) => {
                map.iter().map(|(name, value)| (name.clone(), self.schema(value))).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.schema(item)).collect(),
            other => other.clone(),
        }
    }
}

fn merge(written: &mut Value, schema: Value) {
    if let (Value::Object(written), Value::Object(schema)) = (written, schema) {
        for (name, value) in schema {
            written.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_log_in_are_translated() {
        let basic = json!({"type": "http", "scheme": "basic"});
        assert_eq!(security_scheme(&basic), Some(json!({"type": "basic"})));
        let url = "https://example.org/authorize";
        let flow = json!({"authorizationUrl": url, "scopes": {"openid": "Who you are"}});
        let written = security_scheme(&json!({"type": "oauth2", "flows": {"implicit": flow}}));
        assert_eq!(written.map(|scheme| scheme["authorizationUrl"].clone()), Some(url.into()));
        assert_eq!(security_scheme(&json!({"type": "openIdConnect"})), None);
    }

    #[test]
    fn schemas_hold_what_they_refer_to() {
        let mut description = Description::default();
        description.schemas.insert("Name".to_owned(), json!({"type": "string"}));
        let list = json!({"type": "array", "items": super::super::model::reference("Name")});
        let expected = json!({"type": "array", "items": {"type": "string"}});
        assert_eq!(Writer(&description).schema(&list), expected);
    }
}
