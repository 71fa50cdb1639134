//! Processor time and memory of a server, with all the processes that it has started.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result};

/// What Linux counts processor time in, on every machine that we know.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of these processes and their descendants, ended ones included.
pub(super) fn cpu_seconds(roots: &[u32]) -> Result<f64> {
    let mut ticks = 0;
    for id in family(roots)? {
        // utime, stime, and those of the children that have ended.
        ticks += stat(id).map_or(0, |fields| fields[11..15].iter().sum::<u64>());
    }
    #[expect(clippy::cast_precision_loss, reason = "a run has fewer ticks than that")]
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Memory of these processes and their descendants in KiB; shared pages count once.
pub(super) fn memory(roots: &[u32]) -> Result<u64> {
    Ok(family(roots)?.into_iter().filter_map(proportional_memory).sum())
}

/// The line `Pss:  1234 kB`. Nothing if the process has just ended.
fn proportional_memory(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn family(roots: &[u32]) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").context("this needs Linux")? {
        let Ok(id) = entry?.file_name().to_string_lossy().parse() else { continue };
        if let Some(parent) = stat(id).and_then(|fields| u32::try_from(fields[1]).ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(children.get(id).into_iter().flatten());
        next += 1;
    }
    Ok(found)
}

/// The fields of `/proc/ID/stat` after the name: state (as 0), parent, and so on.
fn stat(id: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}
