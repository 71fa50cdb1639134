//! The same requests to every server, through 64 connections.

use anyhow::Result;

use super::Arguments;
use super::load::{Generator, Measure, Until, median};
use super::postgres::Comparison;
use super::table::Table;
use super::target::{Dialect, Scenario, Target};

const CONNECTIONS: usize = 64;
pub(super) const SCENARIOS: [(Scenario, &str, &str); 5] = [
    (Scenario::Create, "create", "create a record"),
    (Scenario::Read, "read", "read a record"),
    (Scenario::List, "list", "list 100 records"),
    (Scenario::Unchanged, "unchanged", "list, unchanged (304)"),
    (Scenario::Batch, "batch", "create 25 in a batch"),
];

pub(super) fn measure(
    generator: &Generator,
    targets: &mut [Target],
    arguments: &Arguments,
) -> Result<()> {
    targets.iter_mut().try_for_each(Target::prepare)?;
    let (rounds, seconds) = if arguments.quick { (3, 1.0) } else { (5, 3.0) };
    let first = reference(targets).map_or("", |index| targets[index].name);
    let against = format!("against {first}");
    let columns = ["", "server", "requests/s", "p50 ms", "p99 ms", "CPU ms/1,000", &against];
    let mut table = Table::new(&columns);
    let mut comparison = Comparison::default();
    for (scenario, _, title) in SCENARIOS.iter().filter(|it| arguments.wants(it.1)) {
        let mut measures = vec![Vec::new(); targets.len()];
        for _ in 0..rounds {
            for (target, measures) in targets.iter().zip(&mut measures) {
                let requests = target.requests(*scenario);
                let until = Until::Seconds(seconds);
                measures.push(generator.run(target, &requests, CONNECTIONS, until)?);
            }
        }
        for row in rows(title, targets, &measures) {
            table.add(row);
        }
        comparison.add(title, targets, &measures);
    }
    if !table.is_empty() {
        println!(
            "\n{CONNECTIONS} connections, median of {rounds} rounds of {seconds} s each, in turns.\n\
             Against {first}: requests per second of processor time.\n\n{table}"
        );
    }
    comparison.show();
    Ok(())
}

/// What the others are compared with: the smallest program, or else the first.
fn reference(targets: &[Target]) -> Option<usize> {
    let smallest = targets.iter().position(|it| it.dialect == Dialect::Smallest);
    smallest.or(if targets.is_empty() { None } else { Some(0) })
}

fn rows(title: &str, targets: &[Target], measures: &[Vec<Measure>]) -> Vec<Vec<String>> {
    let reference = reference(targets).map(|index| &measures[index]);
    let mut rows = Vec::new();
    for (target, rounds) in targets.iter().zip(measures) {
        let all = Measure::median(rounds);
        let ratios = reference.into_iter().flatten().zip(rounds).map(|(it, own)| it.cpu / own.cpu);
        rows.push(vec![
            title.to_owned(),
            target.name.to_owned(),
            format!("{:.0}", all.rate),
            format!("{:.2}", all.p50),
            format!("{:.2}", all.p99),
            format!("{:.1}", all.cpu),
            number(median(ratios.collect()), 3),
        ]);
    }
    rows
}

/// Nothing where there is nothing to compare with.
pub(super) fn number(number: f64, digits: usize) -> String {
    if number.is_nan() { String::new() } else { format!("{number:.digits$}") }
}

pub(super) fn show_memory(targets: &[Target], idle: &[u64]) {
    let mut table = Table::new(&["server", "idle MiB", "peak MiB"]);
    for (target, idle) in targets.iter().zip(idle) {
        let peak = target.peak_memory();
        table.add(vec![target.name.to_owned(), mebibytes(*idle), mebibytes(peak)]);
    }
    println!("Memory after the start, and the most that was seen after a round.\n\n{table}");
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{}.{}", kibibytes / 1024, kibibytes % 1024 * 10 / 1024)
}
