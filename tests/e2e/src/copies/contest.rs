//! Counts up one record with `If-Match`, against others who do the same: each number is reached
//! once.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::client::Client;
use super::fleet::Fleet;
use crate::http::Connection;
use crate::journal::BUCKET;

fn counter() -> String {
    format!("{BUCKET}/collections/contest/records/counter")
}

/// What contestants have reached.
#[derive(Debug, Default)]
pub(super) struct Contest {
    /// Numbers that were acknowledged.
    reached: BTreeSet<u64>,
    /// How often the same number was acknowledged again.
    twice: usize,
    /// How many requests were not answered.
    unknown: usize,
    /// How often another one was faster.
    refused: usize,
}

impl AddAssign for Contest {
    fn add_assign(&mut self, other: Self) {
        self.twice += other.twice + self.reached.intersection(&other.reached).count();
        self.reached.extend(other.reached);
        self.unknown += other.unknown;
        self.refused += other.refused;
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reached, refused) = (self.reached.len(), self.refused);
        write!(f, "{reached} conditional updates of one record, {refused} were refused")
    }
}

pub(super) fn set_up(connection: &mut Connection) -> Result<()> {
    connection.json("PUT", &format!("{BUCKET}/collections/contest"), None)?.succeeded()?;
    let body = json!({"data": {"count": 0}});
    connection.json("PUT", &counter(), Some(&body))?.succeeded().map(drop)
}

/// Count until writing is over.
pub(super) fn compete(fleet: &Fleet, seed: u64) -> Result<Contest> {
    let mut client = Client::new(fleet, seed);
    let mut contest = Contest::default();
    while fleet.is_writing() {
        let Some(found) = client.json("GET", &counter(), None)? else { continue };
        let found = found.succeeded()?;
        let etag = found.header("etag").context("no ETag")?;
        let count = found.json()?["data"]["count"].as_u64().context("no count")? + 1;
        let body = json!({"data": {"count": count}});
        let Some(answer) = client.request("PUT", &counter(), &[("If-Match", etag)], Some(&body))?
        else {
            contest.unknown += 1;
            continue;
        };
        if answer.status == 412 {
            contest.refused += 1;
        } else {
            answer.succeeded()?;
            contest.twice += usize::from(!contest.reached.insert(count));
        }
    }
    Ok(contest)
}

impl Contest {
    /// What was acknowledged was counted, and nothing else but what may have been.
    pub(super) fn check(&self, connection: &mut Connection) -> Result<()> {
        ensure!(self.twice == 0, "{} numbers were reached twice", self.twice);
        let found = connection.json("GET", &counter(), None)?.succeeded()?;
        let count = found.json()?["data"]["count"].as_u64().context("no count")?;
        let latest = self.reached.last().copied().unwrap_or(0);
        ensure!(count >= latest, "the counter is at {count}, but {latest} was acknowledged");
        let (reached, unknown) = (self.reached.len() as u64, self.unknown as u64);
        ensure!(
            (reached..=reached + unknown).contains(&count),
            "the counter is at {count} after {reached} acknowledged updates and {unknown} unknown"
        );
        Ok(())
    }
}
