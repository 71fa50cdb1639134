//! Our client beside kinto-http.py, against the same server: creating records and listing them.
//!
//! The clients take turns, each time with a new collection. What they run is in benches/client and
//! in the example `volume` of our client.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cumulo_e2e::Server;
use serde_json::Value;

use super::Arguments;
use super::load::median;
use super::processes;
use super::scenarios::number;
use super::table::Table;
use crate::packages;
use crate::project;
use crate::server::{ServerArguments, Store};

/// How many records are created in bulk, and one by one, and how often; in short, and in full.
const QUICK: [usize; 3] = [20_000, 500, 1];
const FULL: [usize; 3] = [100_000, 2_000, 3];

pub(super) fn measure(arguments: &Arguments) -> Result<()> {
    let clients = Clients::prepare()?;
    let sizes = if arguments.quick { QUICK } else { FULL };
    let mut table = Table::new(&[
        "store",
        "what",
        "kinto-http.py s",
        "CPU s",
        "cumulo-client s",
        "CPU s",
        "server CPU s",
        "wall ratio",
        "CPU ratio",
    ]);
    for (store, name) in [(Store::Sqlite, "SQLite"), (Store::Memory, "memory")] {
        let server = arguments.server.server.clone();
        let (_folder, server) = ServerArguments { server, store, database: None }.start(&[])?;
        clients.compare(&server, name, sizes, &mut table)?;
        server.stop()?;
    }
    println!(
        "Our client and kinto-http.py in turns, median of {} rounds; the last row of each store is \
         measured with {} records. The processor time of the server is for our client, for creating \
         and listing together.\n\n{table}",
        sizes[2], sizes[1]
    );
    Ok(())
}

struct Clients {
    python: Vec<PathBuf>,
    ours: Vec<PathBuf>,
}

/// Seconds.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

impl Cost {
    fn read(value: &Value) -> Result<Self> {
        let seconds = |name: &str| value[name].as_f64().with_context(|| format!("no {name}"));
        Ok(Self { wall: seconds("wall")?, cpu: seconds("cpu")? })
    }

    fn plus(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// What one run of a client took.
#[derive(Clone, Copy)]
struct Run {
    create: Cost,
    list: Cost,
    server_cpu: f64,
}

impl Clients {
    fn prepare() -> Result<Self> {
        let programs =
            packages::python(&project::root().join("tests/clients/python/requirements.txt"))?;
        let script = project::root().join("benches/client/volume.py");
        let ours = project::release_example("cumulo-client", "volume")?;
        Ok(Self { python: vec![programs.join("python"), script], ours: vec![ours] })
    }

    fn compare(
        &self,
        server: &Server,
        store: &str,
        [bulk, single, rounds]: [usize; 3],
        table: &mut Table,
    ) -> Result<()> {
        let runs = self.runs(server, bulk, "upload", rounds)?;
        let whole = format!("create {bulk} in batches, and list them");
        table.add(runs.row([store, &format!("create {bulk} in batches")], 1.0, |run| run.create));
        table.add(runs.row([store, &format!("list {bulk}")], 1.0, |run| run.list));
        table.add(runs.row([store, &whole], 1.0, |run| run.create.plus(run.list)));
        let runs = self.runs(server, single, "single", rounds)?;
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let factor = bulk as f64 / single as f64;
        table.add(runs.row([store, "create as many one by one"], factor, |run| run.create));
        Ok(())
    }

    /// The clients in turns.
    fn runs(&self, server: &Server, count: usize, mode: &str, rounds: usize) -> Result<Runs> {
        let mut runs = Runs::default();
        for _ in 0..rounds {
            runs.python.push(run(&self.python, server, count, mode)?);
            runs.ours.push(run(&self.ours, server, count, mode)?);
        }
        Ok(runs)
    }
}

/// The same work by both clients.
#[derive(Default)]
struct Runs {
    python: Vec<Run>,
    ours: Vec<Run>,
}

impl Runs {
    /// Medians of a part of the runs.
    fn row(&self, titles: [&str; 2], factor: f64, part: fn(&Run) -> Cost) -> Vec<String> {
        let cost = |runs: &[Run]| {
            let of = |number: fn(&Cost) -> f64| {
                median(runs.iter().map(|run| number(&part(run))).collect()) * factor
            };
            Cost { wall: of(|it| it.wall), cpu: of(|it| it.cpu) }
        };
        let (python, ours) = (cost(&self.python), cost(&self.ours));
        let server = median(self.ours.iter().map(|run| run.server_cpu).collect()) * factor;
        let seconds = [python.wall, python.cpu, ours.wall, ours.cpu, server];
        let ratios = [python.wall / ours.wall, python.cpu / ours.cpu];
        let cells = titles.into_iter().map(str::to_owned);
        let cells = cells.chain(seconds.map(|it| number(it, 2)));
        cells.chain(ratios.map(|it| number(it, 1))).collect()
    }
}

fn run(words: &[PathBuf], server: &Server, count: usize, mode: &str) -> Result<Run> {
    let before = processes::cpu_seconds(&[server.id()])?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args([&server.url(), &count.to_string(), mode]);
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    let result: Value = serde_json::from_slice(&output.stdout)?;
    Ok(Run {
        create: Cost::read(&result["create"])?,
        list: Cost::read(&result["list"])?,
        server_cpu: processes::cpu_seconds(&[server.id()])? - before,
    })
}
