//! Whether the parts that the server depends on work.

use http::StatusCode;
use serde_json::json;

use crate::{
    api::Api,
    call::Call,
    error::Result,
    object::List,
    reply::Reply,
    store::{self, Transaction},
};

/// In a batch: only the storage, since the others can't be asked in a transaction. A store that
/// can't answer makes this 503; that is an answer too, not a failure.
pub(crate) fn get(api: &Api, tx: &mut dyn Transaction) -> Result<Reply> {
    let works = match api.probe_storage(tx) {
        Ok(()) => true,
        Err(store::Error::ReadOnly) => return Err(store::Error::ReadOnly.into()),
        Err(_) => false,
    };
    Ok(reply(&[("storage", works), ("permission", works)]))
}

/// Where the object is written.
pub(crate) fn list() -> List {
    List::new("__heartbeat__", "__heartbeat__")
}

impl Api {
    /// Writes and removes an object, or reads one where nothing may be written.
    pub fn probe_storage(&self, tx: &mut dyn Transaction) -> store::Result<()> {
        let list = list();
        if self.settings.readonly {
            tx.get(&list, "heartbeat")?;
            return Ok(());
        }
        tx.put(&list, "heartbeat", None, "{}", None)?;
        tx.delete_below("__heartbeat__")
    }

    /// The answer to a heartbeat: which parts work.
    pub fn heartbeat(&self, call: &Call, parts: &[(&str, bool)]) -> Reply {
        self.finish_call(call, reply(parts))
    }
}

/// 503 if something does not work.
fn reply(parts: &[(&str, bool)]) -> Reply {
    let works = parts.iter().all(|(_, works)| *works);
    let status = if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({});
    for (name, works) in parts {
        body[*name] = (*works).into();
    }
    Reply::json(status, &body)
}
