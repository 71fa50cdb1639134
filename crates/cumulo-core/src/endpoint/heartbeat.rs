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

/// A store that can't answer makes this 503; that is an answer too, not a failure.
pub(crate) fn get(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    let works = match probe(api, tx) {
        Ok(()) => true,
        Err(store::Error::ReadOnly) => return Err(store::Error::ReadOnly.into()),
        Err(_) => false,
    };
    Ok(reply(call, works))
}

/// Where the object is written.
pub(crate) fn list() -> List {
    List::new("__heartbeat__", "__heartbeat__")
}

/// Writes and removes an object, or reads one where nothing may be written.
fn probe(api: &Api, tx: &mut dyn Transaction) -> store::Result<()> {
    let list = list();
    if api.settings.readonly {
        tx.get(&list, "heartbeat")?;
        return Ok(());
    }
    tx.put(&list, "heartbeat", None, "{}", None)?;
    tx.delete_below("__heartbeat__")
}

/// The answer: 503 if something does not work.
pub(crate) fn reply(call: &Call, store_works: bool) -> Reply {
    let works = store_works && call.probes.iter().all(|(_, works)| *works);
    let status = if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({"storage": store_works, "permission": store_works});
    for (name, works) in &call.probes {
        body[*name] = (*works).into();
    }
    Reply::json(status, &body)
}
