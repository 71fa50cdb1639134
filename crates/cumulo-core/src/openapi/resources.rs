//! The operations of lists and objects. They follow from the table of resources, so that those of
//! plugins are described like others.

use http::Method;
use serde_json::{Value, json};

use super::{
    model::{
        Answer, Body, Content, Description, Operation, Parameter, Place, capitalized, list_of,
        reference,
    },
    parameters::{LIST, PRECONDITIONS},
    schemas::{example, example_id, name_of, one_of},
};
use crate::{
    api::Api,
    call::Endpoint,
    object::List,
    params::headers::{JSON_PATCH, MERGE_PATCH},
    resource::{RESOURCES, Resource, Target},
};

/// The methods in the order in which people want to read of them.
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const READ_ERRORS: &[u16] = &[400, 401, 403, 404, 406, 412, 503];
const DELETE_ERRORS: &[u16] = &[400, 401, 403, 404, 406, 409, 412, 503];
const WRITE_ERRORS: &[u16] = &[400, 401, 403, 404, 406, 409, 412, 413, 415, 503];

/// Adds those of every resource.
pub(super) fn add(api: &Api, description: &mut Description) {
    for resource in RESOURCES.iter().chain(&api.added).copied() {
        if !resource.object_methods.is_empty() {
            add_ids(api, resource, description);
        }
        let kind = Described::new(api, resource);
        for method in METHODS.iter().filter(|method| kind.has(method, None)) {
            description.operations.extend(kind.on_list(method));
        }
        for method in METHODS.iter().filter(|method| kind.has(method, Some(""))) {
            description.operations.extend(kind.on_object(method));
        }
    }
}

/// The parameters for the id of an object, in its own path and in those below it.
fn add_ids(api: &Api, resource: &Resource, description: &mut Description) {
    let below = format!("{}_id", resource.name);
    for (key, name) in [(format!("{}.id", resource.name), "id"), (below.clone(), &below)] {
        let text = format!("The id of the {}.", resource.name);
        let schema = reference(&name_of(resource, "Id"));
        let example = Some(example_id(api, resource).into());
        let parameter = Parameter::new(name, Place::Path, schema, &text);
        description.add_parameter(&key, Parameter { example, ..parameter });
    }
}

/// A resource, and where it is.
struct Described<'a> {
    api: &'a Api,
    resource: &'static Resource,
    /// What the lists are in, outermost first.
    ancestors: Vec<&'static Resource>,
    path: String,
}

impl<'a> Described<'a> {
    fn new(api: &'a Api, resource: &'static Resource) -> Self {
        let mut ancestors: Vec<_> =
            std::iter::successors(resource.parent, |parent| parent.parent).collect();
        ancestors.reverse();
        let parents: Vec<_> =
            ancestors.iter().map(|one| format!("/{}/{{{}_id}}", one.plural, one.name)).collect();
        let path = format!("{}/{}", parents.concat(), resource.plural);
        Self { api, resource, ancestors, path }
    }

    /// Whether the settings leave on this method of lists, or of objects.
    fn has(&self, method: &Method, id: Option<&str>) -> bool {
        let target = Target {
            resource: self.resource,
            list: List::new("", self.resource.name),
            ancestors: Vec::new(),
            id: id.map(str::to_owned),
            everywhere: false,
        };
        self.api.has_method(&Endpoint::Resource(target), method)
    }

    fn list_operation(&self, method: &Method, id: &str, summary: &str) -> Operation {
        let tag = capitalized(self.resource.plural);
        let mut operation = Operation::new(method.clone(), &self.path, id, &tag, summary);
        operation.parameters =
            self.ancestors.iter().map(|one| format!("{}_id", one.name)).collect();
        operation.asks_who = true;
        operation
    }

    fn object_operation(&self, method: &Method, id: &str, summary: &str) -> Operation {
        let mut operation = self.list_operation(method, id, summary);
        operation.path.push_str("/{id}");
        operation.parameters.push(format!("{}.id", self.resource.name));
        operation
    }

    fn on_list(&self, method: &Method) -> Option<Operation> {
        let (name, plural) = (self.resource.name, self.resource.plural);
        let make = |verb: &str, summary: &str| {
            let summary = format!("{summary} {plural}");
            self.list_operation(method, &format!("{verb}_{plural}"), &summary)
        };
        let shown = list_of(&name_of(self.resource, ""));
        let listed = Answer {
            headers: vec!["ETag", "Last-Modified", "Cache-Control", "Next-Page"],
            ..Answer::new(200, "The objects that match.", Some(Content::json(shown)))
        };
        Some(match *method {
            Method::GET => Operation {
                answers: vec![listed, not_modified()],
                errors: READ_ERRORS.into(),
                ..with(make("get", "List"), &[LIST, &["_fields"], PRECONDITIONS])
            },
            Method::HEAD => Operation {
                answers: vec![counted(), not_modified()],
                errors: READ_ERRORS.into(),
                extra: true,
                ..with(make("count", "Count"), &[LIST, &["_fields"], PRECONDITIONS])
            },
            Method::POST => Operation {
                description: "One that has the `id` in `data` already is answered as it is.",
                body: Some(self.body()),
                answers: vec![
                    self.answer(200, "The object that exists."),
                    self.answer(201, "The object that was created."),
                ],
                errors: WRITE_ERRORS.into(),
                ..with(
                    self.list_operation(
                        method,
                        &format!("create_{name}"),
                        &format!("Create {}", one(name)),
                    ),
                    &[PRECONDITIONS],
                )
            },
            Method::DELETE => Operation {
                description: "With filters, only what matches.",
                answers: vec![Answer {
                    headers: vec!["ETag", "Last-Modified", "Next-Page"],
                    ..Answer::new(
                        200,
                        "What was deleted.",
                        Some(Content::json(list_of("Tombstone"))),
                    )
                }],
                errors: DELETE_ERRORS.into(),
                ..with(make("delete", "Delete"), &[LIST, PRECONDITIONS])
            },
            _ => return None,
        })
    }

    fn on_object(&self, method: &Method) -> Option<Operation> {
        let name = self.resource.name;
        let make = |verb: &str, summary: &str| {
            let summary = format!("{summary} {}", one(name));
            self.object_operation(method, &format!("{verb}_{name}"), &summary)
        };
        let cached = |mut answer: Answer| {
            answer.headers.push("Cache-Control");
            answer
        };
        Some(match *method {
            Method::GET => Operation {
                answers: vec![cached(self.answer(200, "The object.")), not_modified()],
                errors: READ_ERRORS.into(),
                ..with(make("get", "Get"), &[&["_fields"], PRECONDITIONS])
            },
            Method::HEAD => Operation {
                answers: vec![
                    Answer { content: None, ..cached(self.answer(200, "It exists.")) },
                    not_modified(),
                ],
                errors: READ_ERRORS.into(),
                extra: true,
                ..with(make("head", "Look for"), &[&["_fields"], PRECONDITIONS])
            },
            Method::PUT => Operation {
                description: "Permissions that are not given are emptied, unless none are given.",
                body: Some(self.body()),
                answers: vec![
                    self.answer(200, "The object that was replaced."),
                    self.answer(201, "The object that was created."),
                ],
                errors: WRITE_ERRORS.into(),
                ..with(make("update", "Create or replace"), &[PRECONDITIONS])
            },
            Method::PATCH => Operation {
                description: "The content type tells how the changes are merged.",
                body: Some(self.changes()),
                answers: vec![Answer {
                    content: Some(Content::json(self.changed())),
                    ..self.answer(200, "The object, or with `Response-Behavior` parts of it.")
                }],
                errors: WRITE_ERRORS.into(),
                ..with(make("patch", "Change"), &[PRECONDITIONS, &["Response-Behavior"]])
            },
            Method::DELETE => Operation {
                answers: vec![Answer {
                    content: Some(Content::json(one_of("Tombstone"))),
                    ..self.answer(200, "What is left of it.")
                }],
                errors: DELETE_ERRORS.into(),
                ..with(make("delete", "Delete"), &[&["deleted_at"], PRECONDITIONS])
            },
            _ => return None,
        })
    }

    /// What the client writes.
    fn body(&self) -> Body {
        let schema = reference(&name_of(self.resource, "Body"));
        let mut example = json!({"data": example(self.resource)});
        if self.resource.secrets.is_empty() {
            example["permissions"] = json!({"read": ["system.Everyone"]});
        }
        Body { title: "ObjectSchema", contents: vec![Content::json(schema).with_example(example)] }
    }

    /// The three ways to change an object.
    fn changes(&self) -> Body {
        let schema = || reference(&name_of(self.resource, "Patch"));
        let example = json!({"data": {"title": "News"}});
        let operations = json!([{"op": "add", "path": "/data/title", "value": "News"}]);
        let json_patch = Content::json(reference("JsonPatch")).with_example(operations);
        let contents = vec![
            Content::json(schema()).with_example(example.clone()),
            Content { media_type: MERGE_PATCH, ..Content::json(schema()).with_example(example) },
            Content { media_type: JSON_PATCH, ..json_patch },
        ];
        Body { title: "ObjectSchema", contents }
    }

    /// One object with its permissions. Where only some fields are asked for, or nobody may know
    /// the permissions, these are left out.
    fn answer(&self, status: u16, text: &str) -> Answer {
        let content = self.with_permissions(&reference(&name_of(self.resource, "")));
        Answer {
            headers: vec!["ETag", "Last-Modified"],
            ..Answer::new(status, text, Some(Content::json(content)))
        }
    }

    fn changed(&self) -> Value {
        self.with_permissions(&json!({"type": "object", "additionalProperties": true}))
    }

    fn with_permissions(&self, data: &Value) -> Value {
        let permissions = reference(&name_of(self.resource, "Permissions"));
        json!({
            "type": "object", "properties": {"data": data, "permissions": permissions},
            "required": ["data"],
        })
    }
}

/// The name of a kind with its article.
fn one(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// The operation with more parameters.
fn with(mut operation: Operation, keys: &[&[&str]]) -> Operation {
    operation.parameters.extend(keys.concat().into_iter().map(str::to_owned));
    operation
}

/// The answer to who has it already.
pub(super) fn not_modified() -> Answer {
    Answer {
        headers: vec!["ETag", "Last-Modified"],
        ..Answer::new(304, "Nothing has changed since the value in `If-None-Match`.", None)
    }
}

/// The answer to who counts a list.
pub(super) fn counted() -> Answer {
    Answer {
        headers: vec!["ETag", "Last-Modified", "Cache-Control", "Total-Objects", "Total-Records"],
        ..Answer::new(200, "The number is in a header.", None)
    }
}
