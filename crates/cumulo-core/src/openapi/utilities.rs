//! The operations that no resource has: batch, permissions, user data, and what tells about the
//! service.

use http::Method;
use serde_json::{Value, json};

use super::{
    model::{Answer, Body, Content, Description, Operation, Parameter, Place, list_of, reference},
    parameters::{LIST, PRECONDITIONS},
    resources::{counted, not_modified},
};
use crate::api::Api;

const UTILITIES: &str = "Utilities";

/// Adds them all.
pub(super) fn add(api: &Api, description: &mut Description) {
    description.operations.push(batch(api));
    if api.settings.experimental_permissions_endpoint {
        description.operations.extend(permissions());
    }
    add_user_data(description);
    let any = || json!({"type": "object", "additionalProperties": true});
    let mut add = |path: &str, id: &str, summary: &str, content: Content| {
        let mut operation = Operation::new(Method::GET, path, id, UTILITIES, summary);
        operation.answers.push(Answer::new(200, summary, Some(content)));
        description.operations.push(operation);
    };
    add(
        "/",
        "server_info",
        "What the service is and can do, and who you are",
        Content::json(any()),
    );
    let works = json!({"type": "object", "additionalProperties": {"type": "boolean"}});
    add("/__heartbeat__", "__heartbeat__", "Whether each part works", Content::json(works.clone()));
    let empty = json!({"type": "object"});
    add("/__lbheartbeat__", "__lbheartbeat__", "Whether the service runs", Content::json(empty));
    add("/__version__", "__version__", "Which build it is", Content::json(any()));
    add("/contribute.json", "contribute", "Who makes it", Content::json(any()));
    let text = "This description in Swagger 2.0";
    add("/__api__", "get_openapi_spec", text, Content::json(any()));
    let text = "This description in OpenAPI 3.1";
    add("/__api__/openapi.json", "get_openapi_document", text, Content::json(any()));
    let page = Content { media_type: "text/html", ..Content::json(json!({"type": "string"})) };
    add("/__api__/docs", "get_openapi_page", "This description, to be read", page);
    for operation in &mut description.operations {
        operation.extra |= operation.path.starts_with("/__api__/");
        if operation.id == "__heartbeat__" {
            let content = Content::json(works.clone());
            operation.answers.push(Answer::new(503, "Something does not work.", Some(content)));
            operation.errors.clear();
        }
    }
}

fn batch(api: &Api) -> Operation {
    let mut requests = json!({"type": "array", "items": reference("BatchItem")});
    if let Some(max) = api.settings.batch_max_requests.filter(|max| *max > 0) {
        requests["maxItems"] = max.into();
    }
    let body = json!({
        "type": "object",
        "properties": {"defaults": reference("BatchDefaults"), "requests": requests},
        "required": ["requests"],
        "additionalProperties": false,
    });
    let example = json!({
        "defaults": {"method": "PUT"},
        "requests": [
            {"path": "/buckets/blog", "body": {"data": {"title": "My blog"}}},
            {"path": "/buckets/blog/collections/posts"},
        ],
    });
    let responses: Value = json!({
        "type": "object",
        "properties": {"responses": {"type": "array", "items": reference("BatchResponse")}},
        "required": ["responses"],
    });
    let text = "The responses, in the order of the requests.";
    let mut operation =
        Operation::new(Method::POST, "/batch", "batch", "Batch", "Send many requests in one");
    operation.description = "They are carried out together, in one transaction: each that fails is \
                             undone alone, and a failure of the server undoes all. What is in \
                             `defaults` counts for each of them.";
    operation.body = Some(Body {
        title: "BatchPayloadSchema",
        contents: vec![Content::json(body).with_example(example)],
    });
    operation.answers.push(Answer::new(200, text, Some(Content::json(responses))));
    operation.errors = vec![400, 413, 503];
    operation.asks_who = true;
    operation
}

fn permissions() -> [Operation; 2] {
    let make = |method, id, summary| {
        let mut operation = Operation::new(method, "/permissions", id, "Permissions", summary);
        let keys = [LIST, &["_fields"], PRECONDITIONS].concat();
        operation.parameters = keys.into_iter().map(str::to_owned).collect();
        operation.errors = vec![400, 401, 403, 406, 412, 503];
        operation.asks_who = true;
        operation
    };
    let content = Content::json(list_of("Permission"));
    let listed = Answer {
        headers: vec!["ETag", "Last-Modified", "Cache-Control", "Next-Page"],
        ..Answer::new(200, "The objects, and the permissions on each.", Some(content))
    };
    let mut get = make(Method::GET, "get_permissions", "List what you may do");
    get.answers = vec![listed, not_modified()];
    let mut head = make(Method::HEAD, "count_permissions", "Count the objects you may use");
    head.answers = vec![counted()];
    head.extra = true;
    [get, head]
}

fn add_user_data(description: &mut Description) {
    let schema = json!({"type": "string", "minLength": 1});
    let principal = Parameter::new("principal", Place::Path, schema, "A user id.");
    let example = Some("account:ann".into());
    description.add_parameter("principal", Parameter { example, ..principal });
    let (path, id) = ("/__user_data__/{principal}", "delete_user_data");
    let summary = "Delete all that a user owns";
    let mut operation = Operation::new(Method::DELETE, path, id, "User data", summary);
    operation.description = "What only they may write is deleted, and their name is taken out of \
                             all permissions and groups.";
    operation.parameters = vec!["principal".to_owned()];
    let data = json!({
        "type": "object", "properties": {"principal": {"type": "string"}}, "required": ["principal"],
    });
    let content = json!({"type": "object", "properties": {"data": data}, "required": ["data"]});
    operation.answers.push(Answer {
        headers: vec!["ETag", "Last-Modified"],
        ..Answer::new(200, "It is done.", Some(Content::json(content)))
    });
    operation.errors = vec![400, 401, 403, 404, 409, 503];
    operation.asks_who = true;
    description.operations.push(operation);
}
