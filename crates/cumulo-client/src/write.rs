//! Creates, replaces and changes objects.

use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::to_raw_value};

use crate::{
    Object, Permissions, Timestamp,
    call::Call,
    object,
    patch::{Body, Changes},
    resource::{One, Resource},
    response::Response,
    transport::Transport,
};

/// Under which condition something is written unless the caller says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It must not be there.
    Absent,
    /// It must be as it was, if the data tells when that was.
    Unchanged,
    /// None.
    Any,
}

/// How much of an object an answer to a change has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// All of it.
    Full,
    /// The fields that were changed.
    Light,
    /// The fields that became something else than what was sent.
    Diff,
}

impl Behavior {
    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Light => "light",
            Self::Diff => "diff",
        }
    }
}

/// Creates, replaces or changes an object.
#[must_use = "nothing happens without `send`"]
pub struct Write<X, T = Value> {
    resource: Resource<X, T>,
    id: Option<String>,
    call: Call,
    condition: Condition,
    if_match: Option<Timestamp>,
    assigned: bool,
    data: Option<String>,
    permissions: Option<Permissions>,
    operations: Option<String>,
    media_type: &'static str,
}

/// What data tells about its object.
#[derive(Default, Deserialize)]
struct Told {
    id: Option<String>,
    last_modified: Option<Timestamp>,
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> Write<X, T> {
    pub(crate) fn new(resource: Resource<X, T>, id: Option<&str>, condition: Condition) -> Self {
        Self {
            call: resource.call(Method::PUT),
            resource,
            id: id.map(str::to_owned),
            condition,
            if_match: None,
            assigned: false,
            data: None,
            permissions: None,
            operations: None,
            media_type: "application/json",
        }
    }

    /// The data: anything that becomes a JSON object. Dates become text as their types serialize.
    pub fn data(mut self, data: impl Serialize) -> Self {
        match to_raw_value(&data) {
            Ok(json) if json.get().starts_with('{') => self.data = Some(json.get().to_owned()),
            Ok(_) => self.call.refuse("the data must be a JSON object"),
            Err(error) => self.call.refuse(format!("the data can't be sent: {error}")),
        }
        self
    }

    pub(crate) fn changes(mut self, changes: Changes) -> Self {
        self.call.method = Method::PATCH;
        self.media_type = changes.media_type;
        match changes.body {
            Body::Members { data, permissions } => {
                self.permissions = permissions;
                match data {
                    Ok(Some(data)) => return self.data(data),
                    Ok(None) => {}
                    Err(error) => self.call.refuse(format!("the changes can't be sent: {error}")),
                }
            }
            Body::Operations(operations) => {
                if !operations.is_array() {
                    self.call.refuse("a JSON patch is a list of operations");
                }
                self.operations = Some(operations.to_string());
            }
        }
        self
    }

    /// The id, if it is not in the data.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Who may do what; the user who creates an object may always write it.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = Some(permissions);
        self
    }

    /// A header of this request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.call.header(name, value);
        self
    }

    /// Only if the object is as it was at this timestamp; otherwise it is a conflict.
    pub fn if_match(mut self, timestamp: Timestamp) -> Self {
        self.condition = Condition::Unchanged;
        self.if_match = Some(timestamp);
        self
    }

    /// Creates the object only if it does not exist; if it does, gives the one that is there. Takes
    /// a second request then.
    pub fn if_not_exists(mut self) -> Self {
        self.condition = Condition::Absent;
        self.call.or_existing = true;
        self
    }

    /// Writes whatever is there, changed or not.
    pub fn overwrite(mut self) -> Self {
        self.condition = Condition::Any;
        self
    }

    /// Lets the server choose the id. Such a request is not repeated when its connection breaks.
    pub fn assigned_id(mut self) -> Self {
        self.assigned = true;
        self
    }

    /// How much of the object the answer to a change has. What it lacks, `T` must be able to lack.
    pub fn behavior(mut self, behavior: Behavior) -> Self {
        self.call.header("Response-Behavior", behavior.as_str());
        self
    }

    /// Does it.
    pub fn send(self) -> X::Sent<Object<T>> {
        let transport = self.resource.transport().clone();
        transport.send(self.into_call(), object::one)
    }

    /// Does it, and gives the answer as it came.
    pub fn response(self) -> X::Sent<Response> {
        let transport = self.resource.transport().clone();
        transport.send(self.into_call(), |response| Ok(response.clone()))
    }

    pub(crate) fn into_call(mut self) -> Call {
        let told: Told = self.data.as_deref().map(read).unwrap_or_default();
        if self.assigned {
            self.call.method = Method::POST;
        } else {
            let id = self.id.take().or(told.id);
            match id.or_else(|| self.is_creation().then(Resource::<X, T>::new_id)) {
                Some(id) => self.address(&id),
                None => self.call.refuse("an id is needed, as an argument or in the data"),
            }
            match self.condition {
                Condition::Absent => self.call.if_absent(),
                Condition::Unchanged => {
                    if let Some(timestamp) = self.if_match.or(told.last_modified) {
                        self.call.if_match(timestamp);
                    }
                }
                Condition::Any => {}
            }
        }
        let body = self.body();
        self.call.body(self.media_type, body);
        self.call
    }

    fn is_creation(&self) -> bool {
        self.condition == Condition::Absent
    }

    fn address(&mut self, id: &str) {
        let one: One<X, T> = self.resource.one(id);
        one.path().clone_into(&mut self.call.path);
        if let Some(problem) = one.problem() {
            self.call.refuse(problem);
        }
    }

    fn body(&self) -> String {
        if let Some(operations) = &self.operations {
            return operations.clone();
        }
        let permissions =
            self.permissions.as_ref().map(|it| serde_json::to_string(it).expect("texts serialize"));
        match (&self.data, permissions) {
            (Some(data), None) => format!(r#"{{"data":{data}}}"#),
            (None, Some(permissions)) => format!(r#"{{"permissions":{permissions}}}"#),
            (Some(data), Some(permissions)) => {
                format!(r#"{{"data":{data},"permissions":{permissions}}}"#)
            }
            (None, None) => "{}".to_owned(),
        }
    }
}

/// Without the data, which may have passwords.
impl<X: fmt::Debug, T> fmt::Debug for Write<X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("id", &self.id)
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

fn read(data: &str) -> Told {
    serde_json::from_str(data).unwrap_or_default()
}
