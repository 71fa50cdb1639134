//! The steps of a review of changes, where the plugin `signer` is on:
//! <https://github.com/Kinto/kinto-signer>

use serde_json::{Map, Value, json};

use crate::{patch::Changes, resource::Collection, transport::Transport, write::Write};

impl<X: Transport> Collection<X> {
    fn step(&self, status: &str, comment: Option<(&str, &str)>) -> Write<X> {
        let mut data = Map::from_iter([("status".to_owned(), json!(status))]);
        data.extend(comment.map(|(field, text)| (field.to_owned(), Value::from(text))));
        self.patch(Changes::basic(data))
    }

    /// Asks for a review of what was changed.
    pub fn request_review(&self, message: &str) -> Write<X> {
        self.step("to-review", Some(("last_editor_comment", message)))
    }

    /// Publishes what was reviewed.
    pub fn approve_changes(&self) -> Write<X> {
        self.step("to-sign", None)
    }

    /// Sends what was reviewed back to its editors.
    pub fn decline_changes(&self, message: &str) -> Write<X> {
        self.step("work-in-progress", Some(("last_reviewer_comment", message)))
    }

    /// Goes back to what is published.
    pub fn rollback_changes(&self, message: &str) -> Write<X> {
        self.step("to-rollback", Some(("last_editor_comment", message)))
    }

    /// Signs what is published again, as it is.
    pub fn refresh_signature(&self) -> Write<X> {
        self.step("to-resign", None)
    }
}
