//! Writes what differs, if it is still as it was compared.

use std::collections::HashMap;

use http::{Method, StatusCode};
use serde_json::value::to_raw_value;

use super::{
    difference::{Action, Difference, Version},
    fields::Fields,
    report::{Problem, Tally},
    session::{Found, Session},
};
use crate::{Error, Permissions, Result, Timestamp, batch, call::Call};

impl Session {
    /// Writes some objects.
    pub(super) async fn write(&self, found: Vec<Found>, tally: &Tally) -> Result<()> {
        let taken = self.write_with(self.options.timestamps, found, tally).await?;
        if taken.is_empty() {
            return Ok(());
        }
        self.write_with(false, taken, tally).await.map(drop)
    }

    /// Writes some objects, with their timestamps or not. Gives those whose timestamps are taken.
    async fn write_with(
        &self,
        timestamps: bool,
        found: Vec<Found>,
        tally: &Tally,
    ) -> Result<Vec<Found>> {
        let calls = found.iter().map(|it| call(it, timestamps)).collect();
        let (results, mut cause) = batch::send(self.destination.connection(), calls).await?;
        let mut failures: HashMap<_, _> =
            results.failures().map(|it| (it.index, it.error)).collect();
        let (mut done, mut taken) = (Vec::new(), Vec::new());
        for (index, found) in found.into_iter().enumerate() {
            let action = found.difference.action();
            match failures.remove(&index) {
                None => done.push(action),
                Some(error) if timestamps && is_taken(&error) => taken.push(found),
                Some(error) if is_about_object(&error) => {
                    tally.problem(Problem { path: found.difference.path, action, error });
                }
                Some(error) => _ = cause.get_or_insert(error),
            }
        }
        tally.done(&done);
        cause.map_or(Ok(taken), Err)
    }

    /// Writes the bucket or collection that the others are in.
    pub(super) async fn write_head(&self, found: Found, tally: &Tally) -> Result<()> {
        let timestamps = self.options.timestamps;
        let connection = self.destination.connection();
        let action = found.difference.action();
        let mut done = connection.execute(&call(&found, timestamps)).await;
        if timestamps && done.as_ref().is_err_and(is_taken) {
            done = connection.execute(&call(&found, false)).await;
        }
        match (done, action) {
            (Ok(_), _) => tally.done(&[action]),
            // It is there, and this user may not see it.
            (Err(Error::Conflict(refusal)), Action::Create)
                if refusal.response.status == StatusCode::PRECONDITION_FAILED => {}
            (Err(error @ Error::Conflict(_)), _) => {
                tally.problem(Problem { path: found.difference.path, action, error });
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }
}

/// The request that removes a difference.
fn call(Found { difference, target }: &Found, timestamps: bool) -> Call {
    let Difference { before, after, .. } = difference;
    // A bucket that is only created for a collection has none.
    let has_timestamp = |it: &Version| it.last_modified != Timestamp::default();
    let timestamps = timestamps && after.as_ref().is_some_and(has_timestamp);
    let write = match (before, after) {
        (Some(before), Some(after)) => {
            target.update(data(after, timestamps)).if_match(before.last_modified)
        }
        (None, Some(after)) => target.create().data(data(after, timestamps)),
        (before, None) => {
            let mut call = target.call(Method::DELETE, "");
            call.accepted = &[StatusCode::NOT_FOUND];
            if let Some(before) = before {
                call.if_match(before.last_modified);
            }
            return call;
        }
    };
    let before = before.as_ref().and_then(|it| it.permissions.as_ref());
    let mut call = match after.as_ref().and_then(|it| it.permissions.as_ref()) {
        Some(after) => write.permissions(replacement(before, after)).into_call(),
        None => write.into_call(),
    };
    call.has_timestamp = timestamps;
    call
}

fn data(version: &Version, timestamps: bool) -> Fields {
    let mut data = version.data.clone();
    if timestamps {
        let timestamp = to_raw_value(&version.last_modified).expect("it is a number");
        data.set("last_modified", timestamp);
    }
    data
}

/// Servers take permissions without any name for none at all, and leave those that are there.
fn replacement(before: Option<&Permissions>, after: &Permissions) -> Permissions {
    let mut all = after.clone();
    for name in before.into_iter().flat_map(|it| it.0.keys()) {
        all.0.entry(name.clone()).or_default();
    }
    all.0.entry("write".to_owned()).or_default();
    all
}

/// Whether another object of the list has the timestamp: no two have the same.
fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Conflict(it) if it.response.status == StatusCode::CONFLICT)
}

/// Whether others can be written although this one could not.
fn is_about_object(error: &Error) -> bool {
    matches!(
        error,
        Error::Conflict(_)
            | Error::Forbidden(_)
            | Error::Invalid(_)
            | Error::NotFound(_)
            | Error::TooLarge(_)
            | Error::Other(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_taken_away_by_name() {
        let before = Permissions::new().grant("read", "ann").grant("write", "ann");
        let after = Permissions::new().grant("write", "bob");
        let sent = serde_json::to_string(&replacement(Some(&before), &after)).unwrap();
        assert_eq!(sent, r#"{"read":[],"write":["bob"]}"#);
        let sent = serde_json::to_string(&replacement(None, &Permissions::new())).unwrap();
        assert_eq!(sent, r#"{"write":[]}"#);
    }
}
