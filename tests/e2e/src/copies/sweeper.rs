//! Fills a collection of its own and deletes what is in it, page by page: the token of a page
//! comes from one copy and is used once, at another.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::client::Client;
use super::fleet::Fleet;
use super::{COLLECTIONS, WRITTEN};
use crate::journal::{Change, Clocks, Journal, next_page, records_path, responses, rows};

/// How many records are created at once, and how many are on a page.
const RECORDS: usize = 12;
const PAGE: usize = 5;

const _: () = assert!(WRITTEN < COLLECTIONS, "the sweeper has a collection");

/// Sweep until writing is over. Returns how many changes were acknowledged and how many used
/// tokens refused.
pub(super) fn sweep(
    fleet: &Fleet,
    journal: &mut Journal,
    clocks: &Clocks,
    seed: u64,
) -> Result<(usize, usize)> {
    let client = Client::new(fleet, seed);
    let mut sweeper = Sweeper { fleet, client, journal, clocks, acknowledged: 0, refused: 0 };
    while fleet.is_writing() {
        sweeper.sweep_once()?;
    }
    Ok((sweeper.acknowledged, sweeper.refused))
}

struct Sweeper<'a> {
    fleet: &'a Fleet,
    client: Client<'a>,
    journal: &'a mut Journal,
    clocks: &'a Clocks,
    acknowledged: usize,
    refused: usize,
}

impl Sweeper<'_> {
    /// Create records, and delete them in pages; leaves the rest behind when a page fails.
    fn sweep_once(&mut self) -> Result<()> {
        let changes: Vec<Change> = (0..RECORDS).map(|_| self.journal.creation(WRITTEN)).collect();
        if !self.create(&changes)? {
            return Ok(());
        }
        let tokens: Vec<u64> = changes.iter().filter_map(|it| it.token).collect();
        let (first, last) = (tokens[0], tokens[RECORDS - 1]);
        let filters = format!("min_token={first}&max_token={last}&_sort=token&_limit={PAGE}");
        let mut next = Some(format!("{}?{filters}", records_path(WRITTEN)));
        let mut losses = self.fleet.cache_losses();
        for page in changes.chunks(PAGE) {
            let path = next.context("there are less pages than there should be")?;
            let deletions: Vec<Change> =
                page.iter().map(|it| Change { token: None, ..it.clone() }).collect();
            self.journal.begin(&deletions);
            let (known_before, losses_before) = (self.clocks.latest(), losses);
            losses = self.fleet.cache_losses();
            let Some(response) = self.client.json("DELETE", &path, None)? else { return Ok(()) };
            if response.status == 400 && self.fleet.cache_losses() != losses_before {
                self.journal.refuse();
                return Ok(());
            }
            let response = response.succeeded().context(path.clone())?;
            let results = rows(&response)?;
            self.acknowledged += self.journal.acknowledge(&results, known_before, self.clocks)?;
            if path.contains("&_token=") {
                self.use_again(&path)?;
            }
            next = next_page(&response);
        }
        ensure!(next.is_none(), "there are more pages than there should be");
        Ok(())
    }

    fn create(&mut self, changes: &[Change]) -> Result<bool> {
        let requests: Vec<_> =
            changes.iter().map(|it| self.journal.request(it, &mut self.client.random)).collect();
        self.journal.begin(changes);
        let known_before = self.clocks.latest();
        let body = json!({"requests": requests});
        let Some(response) = self.client.json("POST", "/v1/batch", Some(&body))? else {
            return Ok(false);
        };
        let responses = responses(&response.succeeded()?)?;
        let results: Vec<_> =
            responses.into_iter().map(|mut it| it["body"]["data"].take()).collect();
        self.acknowledged += self.journal.acknowledge(&results, known_before, self.clocks)?;
        Ok(true)
    }

    /// No copy takes a token again.
    fn use_again(&mut self, path: &str) -> Result<()> {
        if let Some(response) = self.client.json("DELETE", path, None)? {
            ensure!(response.status == 400, "a token was used twice: {}", response.status);
            self.refused += 1;
        }
        Ok(())
    }
}
