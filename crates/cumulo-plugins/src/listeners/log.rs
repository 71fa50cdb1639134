//! The log as a listener: one line for each event.

use cumulo_core::outbox::Message;
use serde_json::Value;

use super::delivery::Receipt;

/// Writes messages. The program writes lines with this target before it goes on: what is delivered
/// is in the log, whatever happens then.
pub(super) fn write(listener: &str, messages: &[Message]) -> Receipt {
    for Message { id, body, .. } in messages {
        let payload: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| payload[name].as_str().unwrap_or_default();
        let (action, uri) = (text("action"), text("uri"));
        tracing::info!(
            target: "event",
            listener,
            message.id = id,
            action,
            uri,
            user.id = text("user_id"),
            resource = text("resource_name"),
            payload = body,
            "{action} {uri}"
        );
    }
    Receipt::Delivered
}
