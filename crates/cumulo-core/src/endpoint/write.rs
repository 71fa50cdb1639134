//! What creating, replacing and patching an object share.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, Invalid, Location, Result},
    event::Action,
    object::{Acl, Object, Timestamp},
    params::{
        body::{Data, Permissions},
        headers::{Preconditions, Tag},
    },
    render,
    reply::Reply,
    store::{Entry, Transaction},
};

use super::{
    effects,
    resource::{Context, precondition_failed},
};

/// The moments that a client may claim an object was modified at: the years 1 to 9999.
pub(crate) const TIMESTAMPS: std::ops::RangeInclusive<i64> =
    -62_135_596_800_000..=253_402_300_799_999;

impl Context<'_> {
    /// The object with this id, if the user may write it. Who may not even read the list does not
    /// learn that there is none.
    pub(super) fn get_to_write(&self, id: &str, tx: &mut dyn Transaction) -> Result<Option<Entry>> {
        let existing = tx.get(&self.target.list, id)?;
        match &existing {
            Some(entry) => {
                let acl = Some(&entry.acl);
                self.authorizer().require_on_object(self.target, acl, "write", tx)?;
            }
            None => self.authorizer().require_write_on_missing(self.target, tx)?,
        }
        Ok(existing)
    }

    /// Refuses if the preconditions don't hold for what exists. Who may not read it does not see
    /// it in the answer.
    pub(super) fn check_preconditions(
        &self,
        preconditions: Preconditions,
        existing: Option<&Entry>,
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        let current = existing.map(|entry| entry.object.last_modified);
        if !preconditions.fails(current) {
            return Ok(());
        }
        let timestamp = match current {
            Some(timestamp) => timestamp,
            None => tx.timestamp(&self.target.list)?,
        };
        let mut shown = None;
        if let Some(entry) = existing {
            let authorizer = self.authorizer();
            let readable =
                authorizer.require_on_object(self.target, Some(&entry.acl), "read", tx).is_ok();
            shown = readable.then(|| self.shown(&entry.object));
        }
        Err(precondition_failed(ApiError::modified_meanwhile(shown.as_deref()), timestamp))
    }

    /// The timestamp that the client wants, if it is one to obey: an integer, and later than that
    /// of what exists.
    fn requested_timestamp(
        data: &Map<String, Value>,
        existing: Option<&Object>,
    ) -> Result<Option<Timestamp>> {
        let Some(Value::Number(number)) = data.get("last_modified") else { return Ok(None) };
        if number.is_f64() {
            return Ok(None);
        }
        let requested = number.as_i64().filter(|number| TIMESTAMPS.contains(number));
        let Some(requested) = requested.map(Timestamp) else {
            let problem = "Timestamp out of range";
            return Err(Invalid::new(Location::Body, "data.last_modified", problem).into());
        };
        Ok(Some(requested)
            .filter(|requested| existing.is_none_or(|old| *requested > old.last_modified)))
    }

    /// The access control list after a write.
    ///
    /// `replace` removes every permission that is not given; `empty_nulls` those given as null.
    pub(super) fn next_acl(
        &self,
        existing: Option<&Acl>,
        permissions: Option<&Permissions>,
        replace: bool,
        empty_nulls: bool,
    ) -> Acl {
        let given: Vec<_> = permissions
            .into_iter()
            .flatten()
            .filter(|(_, holders)| holders.is_some() || empty_nulls)
            .collect();
        let keep = !replace || given.is_empty();
        let mut acl = existing.filter(|_| keep).cloned().unwrap_or_default();
        for (permission, holders) in given {
            acl.set(permission, holders.clone().unwrap_or_else(BTreeSet::new));
        }
        self.add_writer(&mut acl);
        acl
    }

    /// Whoever writes an object may write it again.
    pub(super) fn add_writer(&self, acl: &mut Acl) {
        if self.api.settings.explicit_permissions {
            acl.add("write", &self.writer);
        }
    }

    /// Validates and stores an object, and carries out what follows from it.
    ///
    /// `data` may hold `id` and `last_modified`; only the latter counts.
    pub(super) fn store(
        &self,
        id: &str,
        mut data: Cow<'_, Data>,
        acl: &Acl,
        existing: Option<&Entry>,
        tx: &mut dyn Transaction,
    ) -> Result<Object> {
        let requested = Self::requested_timestamp(&data, existing.map(|entry| &entry.object))?;
        if requested.is_some() {
            // A list begins in the present, even if its first object is from the past.
            tx.timestamp(&self.target.list)?;
        }
        if effects::may_complete(self) {
            let data = data.to_mut();
            data.insert("id".to_owned(), id.into());
            effects::keep_secrets(self.resource(), data, existing);
            effects::before_put(self, id, data, existing)?;
            effects::validate(self, data, tx)?;
        }
        let text = render::to_data(&data);
        let new_acl = existing.is_none_or(|entry| *entry.acl != *acl).then_some(acl);
        let last_modified = tx.put(&self.target.list, id, requested, &text, new_acl)?;
        let object = Object { id: id.to_owned(), last_modified, deleted: false, data: text };
        let old = existing.map(|entry| &entry.object);
        effects::after_put(self.target, old, &object, tx)?;
        let action = if old.is_some() { Action::Update } else { Action::Create };
        self.tell(action, || self.impact(&object, old, &Arc::new(acl.clone())), tx)?;
        Ok(object)
    }

    /// The answer with a whole object.
    pub(super) fn object_reply(&self, status: StatusCode, object: &Object, acl: &Acl) -> Reply {
        let body = render::object_body(&self.shown(object), Some(self.visible_acl(acl)));
        let mut reply = Reply::raw_json(status, body);
        reply.set_timestamp(object.last_modified);
        reply
    }

    /// Refuses data whose id is another than that of the URL.
    pub(super) fn check_same_id(data: &Map<String, Value>, id: &str) -> Result<()> {
        match data.get("id") {
            Some(other) if other.as_str() != Some(id) => {
                let problem = "Object id does not match existing object";
                Err(Invalid::new(Location::Body, "id", problem).into())
            }
            _ => Ok(()),
        }
    }
}

/// Whether the client only wants to write what is not there yet.
pub(super) fn is_safe_creation(preconditions: Preconditions) -> bool {
    preconditions.if_none_match == Some(Tag::Any)
}
