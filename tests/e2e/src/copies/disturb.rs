//! What happens to the copies and their servers under load, and how soon the copies go on.

use std::fmt;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::PATIENCE;
use super::fleet::Fleet;
use crate::http::Connection;
use crate::journal::BUCKET;

/// How long the load runs between disturbances.
const PEACE: Duration = Duration::from_millis(2500);
/// How long something is away.
const ABSENCE: Duration = Duration::from_millis(1200);

/// How long each copy took to write again.
#[derive(Debug)]
pub(super) struct Recovery {
    what: &'static str,
    durations: Vec<Duration>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<34} first writes after", self.what)?;
        for duration in &self.durations {
            write!(f, " {:>4} ms", duration.as_millis())?;
        }
        Ok(())
    }
}

fn probes() -> String {
    format!("{BUCKET}/collections/probes/records")
}

pub(super) fn set_up(connection: &mut Connection) -> Result<()> {
    connection.json("PUT", &format!("{BUCKET}/collections/probes"), None)?.succeeded()?;
    Ok(())
}

/// One disturbance after the other, with peace between them.
pub(super) fn disturb(fleet: &Fleet) -> Result<Vec<Recovery>> {
    let mut recoveries = Vec::new();
    sleep(PEACE);
    fleet.kill(1)?;
    sleep(ABSENCE);
    fleet.start_again(1)?;
    recoveries.push(recover(fleet, "a copy was killed and started", write)?);
    sleep(PEACE);

    fleet.begin_outage();
    fleet.postgres().stop()?;
    sleep(ABSENCE);
    fleet.postgres().restart()?;
    fleet.end_outage();
    recoveries.push(recover(fleet, "PostgreSQL was restarted", write)?);
    sleep(PEACE);

    fleet.begin_outage();
    fleet.lose_cache();
    fleet.redis().stop()?;
    sleep(ABSENCE);
    fleet.redis().restart()?;
    fleet.lose_cache();
    fleet.end_outage();
    recoveries.push(recover(fleet, "Redis was restarted", delete_a_page)?);
    sleep(PEACE);

    fleet.begin_outage();
    fleet.postgres().stop_immediately()?;
    sleep(ABSENCE);
    fleet.postgres().restart()?;
    fleet.end_outage();
    recoveries.push(recover(fleet, "PostgreSQL was stopped immediately", write)?);
    sleep(PEACE);
    Ok(recoveries)
}

/// Try at each copy at the same time until it works.
fn recover(
    fleet: &Fleet,
    what: &'static str,
    attempt: fn(&mut Connection, usize) -> Result<()>,
) -> Result<Recovery> {
    let start = Instant::now();
    let until_it_works = |copy: usize| loop {
        let result = fleet.connect(copy).and_then(|mut it| attempt(&mut it, copy));
        match result {
            Ok(()) => return Ok(start.elapsed()),
            Err(_) if start.elapsed() < PATIENCE * 5 => sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.context(format!("copy {copy} does not go on"))),
        }
    };
    let durations = thread::scope(|scope| {
        let threads = (0..fleet.len()).map(|copy| scope.spawn(move || until_it_works(copy)));
        let threads: Vec<_> = threads.collect();
        super::join(threads)
    })?;
    let slowest = durations.iter().max().copied().unwrap_or_default();
    ensure!(slowest <= PATIENCE, "{what}: a copy wrote again after {slowest:?} only");
    Ok(Recovery { what, durations })
}

fn write(connection: &mut Connection, copy: usize) -> Result<()> {
    let path = format!("{}/probe{copy}", probes());
    connection.json("PUT", &path, Some(&json!({"data": {}})))?.succeeded().map(drop)
}

/// Needs the cache, for the token of the second page.
fn delete_a_page(connection: &mut Connection, copy: usize) -> Result<()> {
    for _ in 0..2 {
        let body = json!({"data": {"copy": copy}});
        connection.json("POST", &probes(), Some(&body))?.succeeded()?;
    }
    let path = format!("{}?copy={copy}&_limit=1", probes());
    let page = connection.json("DELETE", &path, None)?.succeeded()?;
    page.header("next-page").map(drop).context("there is one page only")
}
