//! Removes a user: the account, memberships and permissions, and, if that is wished, what nobody
//! else may write.

use std::{collections::BTreeSet, sync::Arc};

use cumulo_core::{
    cascade,
    object::{Acl, List},
    render,
    resource::{Target, uri_of},
    store::{self, Access, Outcome, Outlook, Store, Transaction},
};
use serde_json::Value;

use crate::{Advance, CHUNK, Result};

/// Names a user.
#[derive(Clone, Debug)]
pub struct User {
    /// As access control lists and groups name them, such as `account:alice`.
    pub principal: String,
    /// Where the account is: its list and its id.
    pub account: (List, String),
}

/// What becomes of objects that only this user may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// They stay, without the user's permissions.
    Keep,
    /// They are deleted, with all that lies below them.
    Delete,
}

/// What there is of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Whether there is an account.
    pub account: bool,
    /// URIs of the groups that the user belongs to.
    pub groups: Vec<String>,
    /// Objects that only the user may write.
    pub owned: Vec<(List, String)>,
    /// Other objects whose access control lists name the user.
    pub shared: Vec<(List, String)>,
}

impl Survey {
    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        !self.account && self.groups.is_empty() && self.owned.is_empty() && self.shared.is_empty()
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects that were deleted, without what was below them.
    pub deleted: u64,
    /// Objects that the user has no permissions on any more.
    pub released: u64,
}

/// Looks for all that there is of a user. What is topmost comes first.
pub async fn survey(store: &Arc<dyn Store>, user: &User) -> Result<Survey> {
    let user = user.clone();
    let look = move |tx: &mut dyn Transaction| {
        let (list, id) = &user.account;
        let mut survey = Survey {
            account: tx.acl(list, id)?.is_some(),
            groups: tx.groups(&[&user.principal])?.to_vec(),
            ..Survey::default()
        };
        for grant in tx.granted(std::slice::from_ref(&user.principal), None)? {
            let place = (grant.list, grant.id);
            if place == user.account {
                continue;
            }
            let is_owned = grant.acl.is_written_by_only(&user.principal);
            if is_owned { &mut survey.owned } else { &mut survey.shared }.push(place);
        }
        for places in [&mut survey.owned, &mut survey.shared] {
            places.sort_by_cached_key(|(list, id)| {
                let uri = uri_of(list, id);
                (uri.matches('/').count(), uri)
            });
        }
        Ok((Outcome::Rollback, survey))
    };
    Ok(store.transact(Access::Scan, look).await?)
}

/// Removes what [`survey`] has found, as far as it is still so: the account and the memberships
/// first, in one transaction, so that nobody can log in any more; then the rest, in transactions of
/// bounded size. Who interrupts it can begin again.
pub async fn remove(
    store: &Arc<dyn Store>,
    user: &User,
    survey: &Survey,
    data: Data,
    advance: Advance<'_>,
) -> Result<Report> {
    let named = user.clone();
    let expel = move |tx: &mut dyn Transaction| {
        let (list, id) = &named.account;
        tx.delete(list, id, None)?;
        leave_groups(tx, &named.principal)?;
        Ok((Outcome::Commit, ()))
    };
    store.transact(Access::Write, expel).await?;
    let mut report = Report::default();
    let places: Vec<_> = survey.owned.iter().chain(&survey.shared).cloned().collect();
    for chunk in places.chunks(CHUNK) {
        let done = release(store, user, chunk.to_vec(), data).await?;
        report.deleted += done.deleted;
        report.released += done.released;
        advance(chunk.len() as u64);
    }
    Ok(report)
}

/// Ends all memberships, and takes the user out of the members that the groups list.
fn leave_groups(tx: &mut dyn Transaction, principal: &str) -> store::Result<()> {
    for uri in tx.groups(&[principal])?.iter() {
        let Some(Target { list, id: Some(id), .. }) = Target::parse(uri) else { continue };
        let Some(group) = tx.get(&list, &id)? else { continue };
        let mut data = render::parse(&group.object.data);
        if let Some(Value::Array(members)) = data.get_mut("members") {
            members.retain(|member| member != principal);
            tx.put(&list, &id, None, &render::to_data(&data), None)?;
        }
    }
    tx.leave_all(principal)
}

async fn release(
    store: &Arc<dyn Store>,
    user: &User,
    places: Vec<(List, String)>,
    data: Data,
) -> store::Result<Report> {
    let lists: BTreeSet<_> = places.iter().map(|(list, _)| list.clone()).collect();
    let outlook = Outlook {
        writes: lists.into_iter().collect(),
        objects: places.clone(),
        ..Outlook::default()
    };
    let principal = user.principal.clone();
    let work = move |tx: &mut dyn Transaction| {
        let mut report = Report::default();
        for (list, id) in &places {
            // It may have gone with what it was below.
            let Some(acl) = tx.acl(list, id)? else { continue };
            if data == Data::Delete && acl.is_written_by_only(&principal) {
                tx.delete(list, id, None)?;
                cascade::after_delete(list.resource, &uri_of(list, id), tx)?;
                report.deleted += 1;
            } else {
                let mut left = Acl::clone(&acl);
                left.remove_principal(&principal);
                if left != *acl {
                    tx.set_acl(list, id, &left)?;
                    report.released += 1;
                }
            }
        }
        Ok((Outcome::Commit, report))
    };
    store.transact_foreseen(Access::Write, outlook, work).await
}
