//! What a writer does next, and how it asks for it.

use anyhow::Result;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{Journal, records_path};
use crate::http::Response;

/// A writer stops creating records above this number, so that a check stays quick.
const MAX_RECORDS: usize = 150;

/// One write, alone or in a batch.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) collection: usize,
    /// Unknown when the server makes the id.
    pub(crate) id: Option<String>,
    /// What is written; nothing is a deletion.
    pub(crate) token: Option<u64>,
}

impl Journal {
    /// One change, or a batch of some that do not touch the same record.
    pub(crate) fn choose(&mut self, random: &mut StdRng) -> Vec<Change> {
        let size = if random.random_bool(0.3) { random.random_range(2..=25) } else { 1 };
        let mut changes: Vec<Change> = Vec::new();
        while changes.len() < size {
            let change = self.choose_one(random);
            let same = |other: &Change| {
                other.collection == change.collection && other.id == change.id && other.id.is_some()
            };
            if !changes.iter().any(same) {
                changes.push(change);
            }
        }
        changes
    }

    fn choose_one(&mut self, random: &mut StdRng) -> Change {
        let present = self.present();
        let create = present.len() < 30 || random.random_bool(0.4);
        if create && present.len() < MAX_RECORDS {
            // The first collection is busier than the others.
            let is_hot = random.random_bool(0.4);
            let collection = if is_hot { 0 } else { random.random_range(0..self.collections) };
            let mut change = self.creation(collection);
            change.id = change.id.filter(|_| random.random_bool(0.7));
            return change;
        }
        let (collection, id) = present[random.random_range(0..present.len())].clone();
        let token = random.random_bool(0.85).then(|| self.new_token());
        Change { collection, id: Some(id), token }
    }

    /// A new record.
    pub(crate) fn creation(&mut self, collection: usize) -> Change {
        let token = self.new_token();
        Change { collection, id: Some(format!("w{}-{token}", self.writer)), token: Some(token) }
    }

    fn new_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// A change as a request of a batch.
    pub(crate) fn request(&self, change: &Change, random: &mut StdRng) -> Value {
        let mut path = records_path(change.collection);
        if let Some(id) = &change.id {
            path = format!("{path}/{id}");
        }
        let Some(token) = change.token else {
            return json!({"method": "DELETE", "path": path});
        };
        let exists = change
            .id
            .as_ref()
            .is_some_and(|id| self.records.contains_key(&(change.collection, id.clone())));
        let method = match &change.id {
            None => "POST",
            Some(_) if exists && random.random_bool(0.5) => "PATCH",
            Some(_) => "PUT",
        };
        json!({"method": method, "path": path, "body": {"data": content(self.writer, token)}})
    }
}

/// The responses in the answer to a batch.
pub(crate) fn responses(response: &Response) -> Result<Vec<Value>> {
    let Value::Array(responses) = response.json()?["responses"].take() else {
        anyhow::bail!("a batch without responses: {}", response.text());
    };
    Ok(responses)
}

/// The content of the record that is written with a token: it can be checked byte by byte.
pub(super) fn content(writer: usize, token: u64) -> Value {
    let size = usize::try_from(token.wrapping_mul(7919) % 700).unwrap_or_default();
    let text: String = ('a'..='z').cycle().skip(size % 26).take(size).collect();
    json!({"writer": writer, "token": token, "text": text})
}
