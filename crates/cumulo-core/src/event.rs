//! What a request did, for whoever wants to be told.
//!
//! Events ride on the [`Reply`] that they belong to: what an error or a savepoint undoes is never
//! told. At the end of a request, or of a whole batch, those about the same list and action are
//! [`merge`]d, the plugins hear of them in the transaction ([`Plugin::on_event`]), and once more when
//! it is committed ([`Plugin::after_commit`]).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    api::Api,
    call::Call,
    error::{ApiError, Result},
    object::{Acl, Object, Timestamp},
    plugin::Plugin,
    reply::Reply,
    resource::Target,
    store::Transaction,
};

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is new.
    Create,
    /// Its data or its permissions were written.
    Update,
    /// It is a tombstone now.
    Delete,
    /// It was shown.
    Read,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Delete, Self::Read];

    /// Its name, such as `create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Read => "read",
        }
    }
}

/// One object that an event is about. Secrets such as password hashes are left out.
#[derive(Clone, Debug)]
pub struct Impact {
    /// The object as it is now.
    pub new: Object,
    /// As it was before an update or a deletion.
    pub old: Option<Object>,
    /// Its own access control list after the action; of what was deleted, the last one.
    pub acl: Arc<Acl>,
}

/// Something that was done to objects of one list.
#[derive(Clone, Debug)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// The list or the object that the request named.
    pub target: Target,
    /// The path of the request without version prefix. Of merged events, the first one's.
    pub uri: String,
    /// Who did it; none if nobody was logged in.
    pub user: Option<String>,
    /// The timestamp of the list afterwards.
    pub timestamp: Timestamp,
    /// The objects, in the order in which it was done.
    pub impacted: Vec<Impact>,
}

impl Event {
    /// Something that `call` did at `target`. What it is about is to be added.
    pub fn new(action: Action, call: &Call, target: &Target, uri: impl Into<String>) -> Self {
        Self {
            action,
            target: target.clone(),
            uri: uri.into(),
            user: call.user.clone(),
            timestamp: Timestamp::default(),
            impacted: Vec::new(),
        }
    }

    /// Adds an object.
    #[must_use]
    pub fn with(mut self, impact: Impact) -> Self {
        self.timestamp = self.timestamp.max(impact.new.last_modified);
        self.impacted.push(impact);
        self
    }

    /// Whether both are told as one.
    fn is_alike(&self, other: &Self) -> bool {
        self.action == other.action && self.target.list == other.target.list
    }
}

/// Joins events with the same list and action, in the order of the first of each.
pub fn merge(events: Vec<Event>) -> Vec<Event> {
    let mut merged: Vec<Event> = Vec::with_capacity(events.len().min(8));
    for event in events {
        match merged.iter_mut().find(|known| known.is_alike(&event)) {
            Some(known) => {
                known.timestamp = known.timestamp.max(event.timestamp);
                known.impacted.extend(event.impacted);
            }
            None => merged.push(event),
        }
    }
    merged
}

impl Api {
    /// Whether a plugin wants to be told of this action.
    pub fn tells(&self, action: Action) -> bool {
        self.told.contains(&action)
    }

    /// Whether there is anything that a plugin wants to be told of.
    pub fn tells_anything(&self) -> bool {
        !self.told.is_empty()
    }

    /// Tells plugins in the transaction what was done, and what they do about that, and so on.
    pub(crate) fn tell_plugins(&self, mut reply: Reply, tx: &mut dyn Transaction) -> Result<Reply> {
        /// Plugins that answer each other without end are a defect.
        const ROUNDS: usize = 16;
        let mut told = Vec::new();
        let mut done = std::mem::take(&mut reply.events);
        for _ in 0..ROUNDS {
            let mut raised = Vec::new();
            self.tell_round(done, &mut told, tx, &mut raised)?;
            if raised.is_empty() {
                reply.events = told;
                return Ok(reply);
            }
            done = raised;
        }
        tracing::error!("plugins raise events about events without end");
        Err(ApiError::internal(&self.settings.error_info_link))
    }

    /// Tells each plugin what it wants to know of this.
    fn tell_round(
        &self,
        done: Vec<Event>,
        told: &mut Vec<Event>,
        tx: &mut dyn Transaction,
        raised: &mut Vec<Event>,
    ) -> Result<()> {
        let listens = |plugin: &Arc<dyn Plugin>| done.iter().any(|it| plugin.subscribes(it.action));
        let listeners: Vec<_> = self.plugins.iter().filter(|plugin| listens(plugin)).collect();
        let mut took = vec![Duration::ZERO; listeners.len()];
        for (plugin, took) in listeners.iter().zip(&mut took) {
            let begun = Instant::now();
            plugin.on_events(self, &done, tx, raised)?;
            *took += begun.elapsed();
        }
        let mut events = merge(done);
        for event in &events {
            for (plugin, took) in listeners.iter().zip(&mut took) {
                if plugin.subscribes(event.action) {
                    let begun = Instant::now();
                    plugin.on_event(self, event, tx, raised)?;
                    *took += begun.elapsed();
                }
            }
        }
        told.append(&mut events);
        if let Some(metrics) = &self.metrics {
            for (plugin, took) in listeners.iter().zip(took) {
                metrics.timing(&format!("plugins.{}.seconds", plugin.name()), took, &[]);
            }
        }
        Ok(())
    }

    /// Tells plugins what was done, once it is committed.
    pub fn committed(&self, reply: &Reply) {
        for event in &reply.events {
            for plugin in self.plugins.iter().filter(|it| it.subscribes(event.action)) {
                plugin.after_commit(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: Action, path: &str, id: &str, at: i64) -> Event {
        let new = Object {
            id: id.into(),
            last_modified: Timestamp(at),
            deleted: false,
            data: "{}".into(),
        };
        let event = Event {
            action,
            target: Target::parse(path).unwrap(),
            uri: path.into(),
            user: None,
            timestamp: Timestamp::default(),
            impacted: Vec::new(),
        };
        event.with(Impact { new, old: None, acl: Arc::default() })
    }

    #[test]
    fn events_of_one_list_and_action_are_one() {
        let merged = merge(vec![
            event(Action::Create, "/buckets/b/collections/c/records/1", "1", 10),
            event(Action::Create, "/buckets/b/collections/d/records/1", "1", 20),
            event(Action::Update, "/buckets/b/collections/c/records/1", "1", 30),
            event(Action::Create, "/buckets/b/collections/c/records/2", "2", 40),
        ]);
        let told: Vec<_> = merged
            .iter()
            .map(|event| {
                (event.action, event.uri.as_str(), event.timestamp.0, event.impacted.len())
            })
            .collect();
        let expected = [
            (Action::Create, "/buckets/b/collections/c/records/1", 40, 2),
            (Action::Create, "/buckets/b/collections/d/records/1", 20, 1),
            (Action::Update, "/buckets/b/collections/c/records/1", 30, 1),
        ];
        assert_eq!(told, expected);
    }
}
