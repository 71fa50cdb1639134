//! A call in a transaction.

use std::sync::Arc;

use cumulo_core::{
    api::Api,
    call::Call,
    reply::Reply,
    store::{self, Access, Outlook, Store},
};

/// Answers a call in a transaction of a store.
pub(crate) async fn ask(
    store: &dyn Store,
    api: &Arc<Api>,
    call: &Arc<Call>,
    access: Access,
    outlook: Outlook,
) -> store::Result<Reply> {
    let (api, call) = (Arc::clone(api), Arc::clone(call));
    let work = move |tx: &mut dyn store::Transaction| api.answer(&call, tx);
    store.transact_foreseen(access, outlook, work).await
}
