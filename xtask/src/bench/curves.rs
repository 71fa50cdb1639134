//! How times grow with the size of a collection.

use anyhow::{Context, Result, ensure};

use super::load::{Generator, Until};
use super::table::Table;
use super::target::{BATCH, Dialect, Target, record};

/// Kinto takes too long to be filled further...
const KINTO_LIMIT: usize = 10_000;
/// ... and this would take PostgreSQL too long.
const POSTGRESQL_LIMIT: usize = 100_000;
/// Records that the filter finds in each collection.
const MATCHES: usize = 5;
/// Connections that fill a collection.
const FILLERS: usize = 16;

/// The time of a listing with a filter that finds few of many records.
pub(super) fn filter(generator: &Generator, targets: &[Target], quick: bool) -> Result<()> {
    let sizes: &[usize] = if quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] };
    let mut table = Table::new(&["records", "server", "p50 ms", "p99 ms", "CPU ms/1,000"]);
    for size in sizes {
        for target in targets.iter().filter(|it| it.dialect == Dialect::Kinto) {
            if *size > limit(target) {
                continue;
            }
            let name = format!("filter{size}");
            fill_with_matches(generator, target, &name, *size)?;
            let requests = target.filtered(&name, "needle");
            let count = if target.database.is_some() { 50 } else { 500 };
            let measure = generator.run(target, &requests, 1, Until::Requests(count))?;
            table.add(vec![
                size.to_string(),
                target.name.to_owned(),
                format!("{:.2}", measure.p50),
                format!("{:.2}", measure.p99),
                format!("{:.0}", measure.cpu),
            ]);
        }
    }
    println!("`?tag=needle&_limit=10` finds {MATCHES} records; one connection.\n\n{table}");
    Ok(())
}

/// The most records that a target is filled with.
fn limit(target: &Target) -> usize {
    match (target.name, &target.database) {
        ("kinto", _) => KINTO_LIMIT,
        (_, Some(_)) => POSTGRESQL_LIMIT,
        (_, None) => usize::MAX,
    }
}

fn fill_with_matches(
    generator: &Generator,
    target: &Target,
    name: &str,
    size: usize,
) -> Result<()> {
    target.make_collection(&mut target.server.connect()?, name)?;
    for _ in 0..MATCHES {
        let hay = target.batch(name, &record("hay"));
        let batches = Until::Requests(size / MATCHES / BATCH);
        generator.run(target, &hay, FILLERS, batches)?;
        let needle = target.create(name, &record("needle"));
        generator.run(target, &needle, 1, Until::Requests(1))?;
    }
    let path = format!("{}?tag=needle&_limit=10", target.path(name));
    let mut connection = target.server.connect()?;
    let found = connection.json("GET", &path, None)?.succeeded()?.json()?;
    let found = found["data"].as_array().context("no list")?.len();
    ensure!(found == MATCHES, "{} finds {found} records", target.name);
    Ok(())
}

/// The time of an insertion into a collection that grows.
pub(super) fn insert(generator: &Generator, targets: &[Target], quick: bool) -> Result<()> {
    let sizes: &[usize] =
        if quick { &[0, 10_000, 50_000] } else { &[0, 1_000, 10_000, 100_000, 300_000, 1_000_000] };
    let columns = ["records", "server", "alone p50 ms", "requests/s of 64", "CPU ms/1,000"];
    let mut table = Table::new(&columns);
    let mut filled = vec![0; targets.len()];
    for target in targets {
        target.make_collection(&mut target.server.connect()?, "growing")?;
    }
    for size in sizes {
        for (target, filled) in targets.iter().zip(&mut filled) {
            if *size > limit(target) {
                continue;
            }
            let batch = target.batch("growing", &record(""));
            let batches = (size - *filled).div_ceil(BATCH);
            if batches > 0 {
                generator.run(target, &batch, FILLERS, Until::Requests(batches))?;
            }
            *filled = *size;
            let create = target.create("growing", &record(""));
            let alone = generator.run(target, &create, 1, Until::Requests(200))?;
            let count = if target.database.is_some() { 500 } else { 5_000 };
            let together = generator.run(target, &create, 64, Until::Requests(count))?;
            table.add(vec![
                size.to_string(),
                target.name.to_owned(),
                format!("{:.2}", alone.p50),
                format!("{:.0}", together.rate),
                format!("{:.1}", together.cpu),
            ]);
        }
    }
    println!("Insertion of one record into a collection of this many.\n\n{table}");
    Ok(())
}
