//! What a message says: the payload of an event as Kinto has it, and the objects if that is wanted.

use cumulo_core::{
    event::{Event, Impact},
    render,
};
use serde_json::{Map, Value, json};

/// Objects that take more bytes than this together are left out.
const MAX_OBJECTS: usize = 256 * 1024;

/// The texts of one event, each made once.
pub(super) struct Payload<'a> {
    event: &'a Event,
    plain: Option<String>,
    with_objects: Option<String>,
}

impl<'a> Payload<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        Self { event, plain: None, with_objects: None }
    }

    /// The text, with or without the objects.
    pub(super) fn text(&mut self, include_objects: bool) -> &str {
        let event = self.event;
        if include_objects {
            self.with_objects.get_or_insert_with(|| {
                let mut fields = fields(event);
                fields.insert("impacted_objects".into(), objects(event));
                Value::Object(fields).to_string()
            })
        } else {
            self.plain.get_or_insert_with(|| Value::Object(fields(event)).to_string())
        }
    }
}

/// The fields in the order of Kinto: what was done, then what the path of the request names.
fn fields(event: &Event) -> Map<String, Value> {
    let target = &event.target;
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    add("timestamp", event.timestamp.0.into());
    add("action", event.action.as_str().into());
    add("uri", event.uri.as_str().into());
    add("user_id", event.user.as_deref().into());
    add("resource_name", target.resource.name.into());
    for ancestor in &target.ancestors {
        add(&format!("{}_id", ancestor.resource.name), ancestor.id.as_str().into());
    }
    if let Some(id) = &target.id {
        add(&format!("{}_id", target.resource.name), id.as_str().into());
    }
    fields
}

/// The objects; null if they are too large.
fn objects(event: &Event) -> Value {
    let size = |impact: &Impact| {
        impact.new.data.len() + impact.old.as_ref().map_or(0, |old| old.data.len())
    };
    if event.impacted.iter().map(size).sum::<usize>() > MAX_OBJECTS {
        return Value::Null;
    }
    let one = |impact: &Impact| {
        let new = render::to_map(impact.new.as_row());
        match &impact.old {
            Some(old) => json!({"new": new, "old": render::to_map(old.as_row())}),
            None => json!({ "new": new }),
        }
    };
    event.impacted.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cumulo_core::{
        event::Action,
        object::{Object, Timestamp},
        resource::Target,
    };

    use super::*;

    fn object(at: i64, data: &str) -> Object {
        Object { id: "r".into(), last_modified: Timestamp(at), deleted: false, data: data.into() }
    }

    fn event(path: &str, impact: Impact) -> Event {
        Event {
            action: Action::Update,
            target: Target::parse(path).unwrap(),
            uri: path.into(),
            user: Some("account:ann".into()),
            timestamp: Timestamp(12),
            impacted: vec![impact],
        }
    }

    #[test]
    fn the_payload_is_that_of_kinto() {
        let (new, old) = (object(12, r#"{"n":2}"#), Some(object(11, r#"{"n":1}"#)));
        let impact = Impact { new, old, acl: Arc::default() };
        let event = event("/buckets/b/collections/c/records/r", impact);
        let mut payload = Payload::of(&event);
        let plain = concat!(
            r#"{"timestamp":12,"action":"update","uri":"/buckets/b/collections/c/records/r","#,
            r#""user_id":"account:ann","resource_name":"record","bucket_id":"b","#,
            r#""collection_id":"c","record_id":"r""#
        );
        assert_eq!(payload.text(false), format!("{plain}}}"));
        let objects = concat!(
            r#","impacted_objects":[{"new":{"id":"r","last_modified":12,"n":2},"#,
            r#""old":{"id":"r","last_modified":11,"n":1}}]}"#
        );
        assert_eq!(payload.text(true), format!("{plain}{objects}"));
    }

    #[test]
    fn a_list_has_no_id_and_a_stranger_none_either() {
        let impact = Impact { new: object(1, "{}"), old: None, acl: Arc::default() };
        let event = Event { user: None, ..event("/buckets/b/groups", impact) };
        let expected = json!({"timestamp": 12, "action": "update", "uri": "/buckets/b/groups",
            "user_id": null, "resource_name": "group", "bucket_id": "b"});
        let text = Payload::of(&event).text(false).to_owned();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn large_objects_are_left_out() {
        let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(MAX_OBJECTS));
        let impact = Impact { new: object(1, &large), old: None, acl: Arc::default() };
        let event = event("/buckets/b", impact);
        let text = Payload::of(&event).text(true).to_owned();
        assert!(text.ends_with(r#","impacted_objects":null}"#), "{text}");
    }
}
