//! The shapes of bodies, by name. Those of a resource follow from its row in the table.

use serde_json::{Map, Value, json};

use super::model::{Description, capitalized, reference};
use crate::{
    api::Api,
    endpoint::{patch::OPS, permissions},
    error::Errno,
    params::{
        batch::METHODS,
        body::{Kind, fields},
    },
    render::MASK,
    resource::{RESOURCES, Resource},
};

/// Adds them all.
pub(super) fn add(api: &Api, description: &mut Description) {
    for resource in RESOURCES.iter().chain(&api.added).copied() {
        add_resource(api, resource, &mut description.schemas);
    }
    let mut add = |name: &str, schema| description.schemas.insert(name.to_owned(), schema);
    add("Timestamp", timestamp());
    add("Principals", principals());
    add("Tombstone", tombstone());
    add("Permission", permission());
    add("JsonPatch", json_patch());
    add("BatchItem", batch_item(&["path"]));
    add("BatchDefaults", batch_item(&[]));
    add("BatchResponse", batch_response());
    add("Error", error());
}

/// The name of a schema of this resource: `BucketData` for what is written, `BucketPatch` for
/// changes of it, `BucketPermissions`, `BucketId`, and `Bucket` for what is read.
pub(super) fn name_of(resource: &Resource, part: &str) -> String {
    capitalized(resource.name) + part
}

fn add_resource(api: &Api, resource: &Resource, schemas: &mut Map<String, Value>) {
    let mut add = |part: &str, schema| schemas.insert(name_of(resource, part), schema);
    add("", shown(resource));
    if resource.object_methods.is_empty() {
        return;
    }
    add("Id", id(api, resource));
    add("Data", written(resource));
    add("Permissions", permissions_of(resource));
    let data = || reference(&name_of(resource, "Data"));
    let permissions = || reference(&name_of(resource, "Permissions"));
    let mut body = object(&json!({"data": data(), "permissions": permissions()}));
    if !resource.secrets.is_empty() {
        body["required"] = json!(["data"]);
    }
    add("Body", body);
    let any = json!({"type": "object", "additionalProperties": true});
    let mut patch = object(&json!({"data": any, "permissions": permissions()}));
    patch["minProperties"] = 1.into();
    add("Patch", patch);
}

/// An object with these properties and no others.
fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn id(api: &Api, resource: &Resource) -> Value {
    let mut schema = json!({"type": "string"});
    if resource.accepts_id.is_none() {
        schema["pattern"] = api.ids(resource).pattern().into();
    }
    schema
}

fn field(kind: Kind) -> Value {
    match kind {
        Kind::Schema => json!({
            "type": "object", "additionalProperties": true, "description": "A JSON schema."
        }),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Members => json!({
            "type": "array", "items": {"type": "string", "minLength": 1},
            "description": "The ids of users.",
        }),
    }
}

fn defined(resource: &Resource) -> Map<String, Value> {
    let fields = fields(resource).iter();
    fields.map(|(name, kind)| ((*name).to_owned(), field(*kind))).collect()
}

/// What a client sends.
fn written(resource: &Resource) -> Value {
    let mut properties = defined(resource);
    for secret in resource.secrets {
        let description = format!("Shown as `{MASK}`, which leaves it as it is when it is sent.");
        let schema = json!({"type": "string", "minLength": 1, "description": description});
        properties.insert((*secret).to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object", "properties": properties, "additionalProperties": true,
    });
    if !resource.secrets.is_empty() {
        schema["required"] = json!(resource.secrets);
    }
    schema
}

/// What the server answers.
fn shown(resource: &Resource) -> Value {
    let mut properties = Map::new();
    properties.insert("id".into(), json!({"type": "string"}));
    properties.insert("last_modified".into(), reference("Timestamp"));
    properties.extend(defined(resource));
    let masked = resource
        .secrets
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string", "enum": [MASK]})));
    properties.extend(masked);
    json!({
        "type": "object", "properties": properties, "required": ["id", "last_modified"],
        "additionalProperties": true,
    })
}

fn permissions_of(resource: &Resource) -> Value {
    let names = resource.permissions.iter();
    object(&names.map(|name| ((*name).to_owned(), reference("Principals"))).collect())
}

fn principals() -> Value {
    json!({
        "type": "array", "items": {"type": "string", "minLength": 1},
        "description": "User ids, groups by their URLs, `system.Everyone`, \
                        `system.Authenticated`.",
    })
}

fn timestamp() -> Value {
    json!({
        "type": "integer",
        "description": "Milliseconds since 1970; it grows with each change in a list.",
    })
}

fn tombstone() -> Value {
    json!({
        "type": "object",
        "description": "What is left of a deleted object.",
        "properties": {
            "id": {"type": "string"},
            "last_modified": reference("Timestamp"),
            "deleted": {"type": "boolean", "enum": [true]},
        },
        "required": ["id", "last_modified", "deleted"],
    })
}

fn permission() -> Value {
    let field = |name: &&str| match *name {
        "permissions" => json!({"type": "array", "items": {"type": "string"}}),
        _ => json!({"type": "string"}),
    };
    let fields = permissions::FIELDS.iter();
    let properties: Map<_, _> = fields.map(|name| ((*name).to_owned(), field(name))).collect();
    json!({
        "type": "object", "properties": properties, "additionalProperties": true,
        "description": "What the user may do with one object.",
    })
}

fn json_patch() -> Value {
    let pointer = json!({"type": "string", "pattern": "^/"});
    let mut operation = object(&json!({
        "op": {"type": "string", "enum": OPS}, "path": pointer, "from": pointer, "value": {},
    }));
    operation["required"] = json!(["op", "path"]);
    json!({
        "type": "array", "items": operation,
        "description": "Operations on `{\"data\": …, \"permissions\": …}` (RFC 6902).",
    })
}

fn batch_item(required: &[&str]) -> Value {
    let mut item = object(&json!({
        "method": {"type": "string", "enum": METHODS, "description": "GET, if it is not there."},
        "path": {
            "type": "string", "pattern": "^/",
            "description": "With or without the version of the API.",
        },
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {"type": "object", "additionalProperties": true},
    }));
    if !required.is_empty() {
        item["required"] = json!(required);
    }
    item
}

fn batch_response() -> Value {
    let mut response = object(&json!({
        "status": {"type": "integer"},
        "path": {"type": "string"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {"description": "JSON, or an empty text where the response has no JSON body."},
    }));
    response["required"] = json!(["status", "path", "headers", "body"]);
    response
}

fn error() -> Value {
    let numbers: Vec<u16> = Errno::ALL.iter().map(|errno| *errno as u16).collect();
    let mut error = object(&json!({
        "code": {"type": "integer", "description": "The status."},
        "errno": {
            "type": "integer", "enum": numbers,
            "description": "Tells errors apart where the status does not.",
        },
        "error": {"type": "string", "description": "The name of the error."},
        "message": {"type": "string", "description": "What happened, for people."},
        "info": {"type": "string", "description": "Where to read more."},
        "details": {"description": "What a program can act on."},
    }));
    error["required"] = json!(["code", "errno", "error"]);
    error
}

/// The body of one object.
pub(super) fn one_of(name: &str) -> Value {
    json!({"type": "object", "properties": {"data": reference(name)}, "required": ["data"]})
}

/// An example of what a client may write.
pub(super) fn example(resource: &Resource) -> Value {
    match resource.name {
        "bucket" => json!({"title": "My blog"}),
        "group" => json!({"members": ["account:ann", "account:ben"]}),
        "collection" => json!({
            "schema": {"type": "object", "properties": {"title": {"type": "string"}}}
        }),
        "record" => json!({"title": "Hello", "tags": ["news"]}),
        _ => {
            let secrets = resource.secrets.iter();
            secrets.map(|name| ((*name).to_owned(), Value::from("correct horse"))).collect()
        }
    }
}

/// An example of the id of such an object.
pub(super) fn example_id(api: &Api, resource: &Resource) -> String {
    /// Where ids are UUIDs, no name is one.
    const UUID: &str = "9b2c6a70-3f5e-4c5b-8a43-2f0f0b6f3d11";
    let name = match resource.name {
        "bucket" => "blog",
        "group" => "editors",
        "collection" => "posts",
        "record" => "hello",
        "account" => "ann",
        other => other,
    };
    if api.accepts_id(resource, name) { name.to_owned() } else { UUID.to_owned() }
}
