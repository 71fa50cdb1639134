//! What the description of the API says of entries and snapshots.

use cumulo_core::openapi::{
    Description,
    model::{Answer, Content, Operation, Parameter, Place, list_of},
};
use http::Method;
use serde_json::json;

const PATH: &str = "/buckets/{bucket_id}/snapshot/collections/{collection_id}@{timestamp}";
const TIMESTAMP: &str = "snapshot.timestamp";

/// Completes entries, and adds snapshots.
pub(super) fn add(description: &mut Description) {
    let text = |text: &str| json!({"type": "string", "description": text});
    let fields = [
        ("user_id", text("Who changed it.")),
        ("uri", text("What was changed.")),
        ("action", json!({"type": "string", "enum": ["create", "update", "delete"]})),
        ("date", text("When, in ISO 8601.")),
        ("resource_name", text("The kind of what was changed.")),
        ("bucket_id", text("The bucket that it is, or is in.")),
        ("collection_id", text("The collection that it is, or is in.")),
        ("group_id", text("The group that it is.")),
        ("record_id", text("The record that it is.")),
        ("target", json!({"type": "object", "description": "What it was after the change."})),
    ];
    for (name, schema) in fields {
        description.schemas["History"]["properties"][name] = schema;
    }
    let schema = json!({"type": "integer", "minimum": 0});
    let moment = Parameter::new("timestamp", Place::Path, schema, "The moment, as timestamp.");
    let example = Some(json!(1_735_689_600_000_u64));
    description.add_parameter(TIMESTAMP, Parameter { example, ..moment });
    description.operations.extend(snapshot());
}

fn snapshot() -> [Operation; 2] {
    let make = |method, id, summary, content| {
        let mut operation = Operation::new(method, PATH, id, "Snapshots", summary);
        let keys = ["bucket_id", "collection_id", TIMESTAMP, "_limit", "_token"];
        operation.parameters = keys.map(str::to_owned).into();
        operation.answers = vec![Answer {
            headers: vec!["Next-Page"],
            ..Answer::new(200, "The records as they were, those changed last first.", content)
        }];
        operation.errors = vec![400, 401, 403, 404, 503];
        operation.asks_who = true;
        operation
    };
    let records = Some(Content::json(list_of("Record")));
    let summary = "List the records as they were at a moment";
    let get = make(Method::GET, "get_history_snapshot", summary, records);
    let summary = "Ask whether you may see the records as they were";
    let mut head = make(Method::HEAD, "head_history_snapshot", summary, None);
    head.extra = true;
    [get, head]
}
