//! Follows a collection by asking for what has changed since the last answer.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;

use super::client::Client;
use super::fleet::Fleet;
use crate::http::Response;
use crate::journal::{Snapshot, etag, next_page, records_path, rows};

/// A client that knows a collection as it was at its last poll.
pub(super) struct Poller {
    collection: usize,
    model: Snapshot,
    pub(super) polls: usize,
    pub(super) unchanged: usize,
    pub(super) changes: usize,
}

impl Poller {
    pub(super) fn new(collection: usize) -> Self {
        Self { collection, model: Snapshot::default(), polls: 0, unchanged: 0, changes: 0 }
    }

    /// Poll until polling is over, and once more.
    pub(super) fn follow(&mut self, fleet: &Fleet, seed: u64) -> Result<()> {
        let mut client = Client::new(fleet, seed);
        loop {
            let is_last = !fleet.is_polling();
            let is_answered = self.poll(&mut client).with_context(|| {
                format!("polling collection {} since {}", self.collection, self.model.timestamp)
            })?;
            if is_last && is_answered {
                return Ok(());
            }
            sleep(Duration::from_millis(client.random.random_range(0..10)));
        }
    }

    /// Whether it was answered.
    fn poll(&mut self, client: &mut Client<'_>) -> Result<bool> {
        let since = self.model.timestamp;
        let mut path = format!("{}?_since={since}", records_path(self.collection));
        if client.random.random_bool(0.3) {
            path += "&_limit=7";
        }
        let quoted = format!("\"{since}\"");
        let is_conditional = client.random.random_bool(0.5);
        let headers = [("If-None-Match", quoted.as_str())];
        let headers = if is_conditional { &headers[..] } else { &[] };
        let Some(first) = client.request("GET", &path, headers, None)? else { return Ok(false) };
        let now = etag(&first)?;
        ensure!(now >= since, "the ETag goes back to {now}");
        self.polls += 1;
        if first.status == 304 {
            self.unchanged += 1;
            ensure!(is_conditional && now == since, "304 for {now}");
            return Ok(true);
        }
        ensure!(!(is_conditional && now == since), "nothing has changed, but it was no 304");
        // What changes while pages are read is newer than the first of them: the next poll has it.
        let mut pages = Vec::new();
        let mut next = Some(first);
        while let Some(page) = next {
            let page = page.succeeded()?;
            next = match next_page(&page) {
                Some(path) => Some(match client.json("GET", &path, None)? {
                    Some(page) => page,
                    None => return Ok(false),
                }),
                None => None,
            };
            pages.push(page);
        }
        self.apply(since, &pages)?;
        self.model.timestamp = now;
        Ok(true)
    }

    fn apply(&mut self, since: u64, pages: &[Response]) -> Result<()> {
        for page in pages {
            for row in rows(page)? {
                let modified = row["last_modified"].as_u64().context("no timestamp")?;
                ensure!(modified > since, "{row} is not newer");
                let known = self.model.add(row.clone())?;
                if known.is_some_and(|known| known.modified() > modified) {
                    bail!("{row} goes back");
                }
                self.changes += 1;
            }
        }
        Ok(())
    }

    /// It knows what is there, and nothing else.
    pub(super) fn check(&self, snapshots: &[Snapshot]) -> Result<()> {
        let found = &snapshots[self.collection];
        for (id, object) in &found.objects {
            let known = self.model.objects.get(id);
            ensure!(
                known == Some(object),
                "who polled collection {} missed a change of {id}: it is {object:?}, known as {known:?}",
                self.collection
            );
        }
        ensure!(self.model == *found, "who polled knows more than there is");
        Ok(())
    }
}
