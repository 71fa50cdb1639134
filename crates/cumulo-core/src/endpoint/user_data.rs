//! `/__user_data__/{principal}`: removes all that a principal owns, and its name everywhere.

use http::StatusCode;
use serde_json::json;

use crate::{
    api::Api, authorization, call::Call, error::Result, object::Acl, reply::Reply,
    resource::uri_of, store::Transaction,
};

use super::effects;

pub(crate) fn delete(
    api: &Api,
    call: &Call,
    principal: &str,
    tx: &mut dyn Transaction,
) -> Result<Reply> {
    let principals = authorization::principals(call.user.as_deref(), tx)?;
    let user = call.user.as_deref();
    authorization::require_named(&api.settings, "user-data_delete", &principals, user)?;
    let timestamp = tx.timestamp(&crate::object::List::new("", "userdata"))?;
    delete_owned(api, principal, tx)?;
    tx.leave_all(principal)?;
    tx.disband(principal)?;
    let mut reply = Reply::json(StatusCode::OK, &json!({"data": {"principal": principal}}));
    reply.set_timestamp(timestamp);
    Ok(reply)
}

/// Deletes the objects that only `principal` may write, topmost first, and takes its name out of
/// the access control lists of the others.
fn delete_owned(api: &Api, principal: &str, tx: &mut dyn Transaction) -> Result<()> {
    let mut grants = tx.granted(&[principal.to_owned()])?;
    grants.sort_by_key(|grant| uri_of(&grant.list, &grant.id).matches('/').count());
    for grant in grants {
        // An object above it may have gone meanwhile, and this one with it.
        if tx.acl(&grant.list, &grant.id)?.is_none() {
            continue;
        }
        if grant.acl.is_written_by_only(principal) {
            tx.delete(&grant.list, &grant.id, None)?;
            if let Some(target) = api.target(&uri_of(&grant.list, &grant.id)) {
                effects::after_delete(&target, &grant.id, tx)?;
            }
        } else {
            let mut acl = Acl::clone(&grant.acl);
            acl.remove_principal(principal);
            tx.set_acl(&grant.list, &grant.id, &acl)?;
        }
    }
    Ok(())
}
