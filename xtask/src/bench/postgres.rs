//! Our program and Kinto on one PostgreSQL, each with a database of its own, and how much of their
//! time is spent there.

use std::process::Command;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use cumulo_e2e::server::write_ini;
use cumulo_e2e::{Program, Server, Storage};
use cumulo_servers::{Options, Postgres};

use super::Arguments;
use super::load::{Generator, Measure, Until, median};
use super::scenarios::{SCENARIOS, number};
use super::table::Table;
use super::target::{Database, Dialect, Target};
use crate::project;
use crate::server::ServerArguments;

/// A session of PostgreSQL that is idle tells what it has done after ten seconds at the latest.
const UNTIL_STATISTICS: Duration = Duration::from_millis(10_500);

/// What our program on PostgreSQL and Kinto have needed, per round.
#[derive(Default)]
pub(super) struct Comparison {
    rows: Vec<Vec<String>>,
}

/// The server, as it comes but for `max_connections`: every commit waits for the disk.
pub(super) fn start() -> Result<Rc<Postgres>> {
    Ok(Rc::new(Postgres::start(&Options { fsync: true, ..Options::default() })?))
}

/// Our program on an empty database.
pub(super) fn cumulo(arguments: &ServerArguments, postgres: &Rc<Postgres>) -> Result<Target> {
    let executable = arguments.executable()?;
    let database = Database::create(postgres, "cumulo")?;
    let storage = Storage::Postgresql(database.url.clone());
    let folder = tempfile::tempdir()?;
    let ini = folder.path().join("migrate.ini");
    write_ini(&ini, 0, &storage, &[])?;
    project::run(Command::new(&executable).args(["migrate", "--quiet", "--ini"]).arg(&ini))?;
    let server = Server::start(&Program::cumulo(&executable), folder.path(), &storage, &[])?;
    Ok(Target::new("cumulo, postgresql", Dialect::Kinto, server, Some(database), folder))
}

impl Comparison {
    /// Adds what a scenario has cost.
    pub(super) fn add(&mut self, title: &str, targets: &[Target], measures: &[Vec<Measure>]) {
        let kinto = targets.iter().position(|it| it.name == "kinto").map(|place| &measures[place]);
        for (target, rounds) in targets.iter().zip(measures) {
            if target.database.is_none() {
                continue;
            }
            let of = |value: fn(&Measure) -> f64| median(rounds.iter().map(value).collect());
            let against = |cost: fn(&Measure) -> f64| {
                let pairs = kinto.into_iter().flatten().zip(rounds);
                median(pairs.map(|(kinto, own)| cost(kinto) / cost(own)).collect())
            };
            self.rows.push(vec![
                title.to_owned(),
                target.name.to_owned(),
                format!("{:.0}", of(|it| it.rate)),
                format!("{:.1}", of(Measure::server_cpu)),
                format!("{:.1}", of(|it| it.database_cpu)),
                format!("{:.0}", of(|it| it.database_cpu / it.cpu * 100.0)),
                format!("{:.0}", of(|it| 1e6 / it.server_cpu())),
                format!("{:.0}", of(|it| 1e6 / it.cpu)),
                number(against(Measure::server_cpu), 1),
                number(against(|it| it.cpu), 1),
            ]);
        }
    }

    pub(super) fn show(self) {
        if self.rows.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            "",
            "server",
            "requests/s",
            "server CPU ms/1,000",
            "PostgreSQL CPU ms/1,000",
            "PostgreSQL %",
            "requests per server CPU s",
            "per CPU s with PostgreSQL",
            "server against kinto",
            "with PostgreSQL against kinto",
        ]);
        self.rows.into_iter().for_each(|row| table.add(row));
        println!(
            "The same rounds on PostgreSQL, with fsync: the processor time of the server and of \
             PostgreSQL.\nAgainst kinto: requests per second of processor time.\n\n{table}"
        );
    }
}

/// Over one connection, where nothing waits for others: how long an answer takes, and for how much
/// of it PostgreSQL was at work, the flush of a commit included. That is PostgreSQL's own account;
/// the ways to it and back are not in it.
pub(super) fn measure_alone(
    generator: &Generator,
    targets: &[Target],
    arguments: &Arguments,
) -> Result<()> {
    let seconds = if arguments.quick { 1.0 } else { 3.0 };
    let targets: Vec<_> =
        targets.iter().filter_map(|it| Some((it, it.database.as_ref()?))).collect();
    let mut table =
        Table::new(&["", "server", "mean ms", "p50 ms", "in PostgreSQL ms", "PostgreSQL %"]);
    for (scenario, _, title) in SCENARIOS.iter().filter(|it| arguments.wants(it.1)) {
        if targets.is_empty() {
            break;
        }
        sleep(UNTIL_STATISTICS);
        let before = active_times(&targets)?;
        let measure = |(target, _): &(&Target, _)| {
            generator.run(target, &target.requests(*scenario), 1, Until::Seconds(seconds))
        };
        let measures = targets.iter().map(measure).collect::<Result<Vec<_>>>()?;
        sleep(UNTIL_STATISTICS);
        let after = active_times(&targets)?;
        for (place, ((target, _), measure)) in targets.iter().zip(measures).enumerate() {
            let requests = seconds * 1000.0 / measure.mean;
            let active = (after[place] - before[place]) / requests;
            table.add(vec![
                (*title).to_owned(),
                target.name.to_owned(),
                format!("{:.3}", measure.mean),
                format!("{:.3}", measure.p50),
                format!("{active:.3}"),
                format!("{:.0}", active / measure.mean * 100.0),
            ]);
        }
    }
    if !table.is_empty() {
        println!("One connection, {seconds} s each.\n\n{table}");
    }
    Ok(())
}

/// For how many milliseconds the sessions of each database have been at work.
fn active_times(targets: &[(&Target, &Database)]) -> Result<Vec<f64>> {
    let ask = |(_, database): &(&Target, &Database)| {
        let name = database.name;
        let sql = format!("SELECT active_time FROM pg_stat_database WHERE datname = '{name}'");
        // Asked from elsewhere, so that the question is not in the answer.
        let answer = database.server.query("postgres", &sql)?;
        answer.parse().with_context(|| format!("active_time is {answer}"))
    };
    targets.iter().map(ask).collect()
}
