//! `cargo xtask moving`: everything moves between stores, whatever happens on the way.
//!
//! With `--records` it measures one large move instead.

mod cumulo;
mod generate;
mod kinto;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use cumulo_e2e::Storage;
use cumulo_servers::Postgres;

use self::cumulo::{Cumulo, trailer};
use crate::project;
use crate::server::seed;
use crate::steps::Tally;

/// How many records the checks move.
const RECORDS: u64 = 20_000;
/// How often an import is killed.
const KILLS: u32 = 12;
/// No command may use more memory, whatever it moves.
const MAX_PEAK_MIB: u64 = 100;

/// Makes an empty storage of an engine, with its files in a folder.
type Engine = fn(&Path) -> Result<Storage>;

/// Every engine that a settings file can name.
const ENGINES: &[(&str, Engine)] = &[
    ("sqlite", |folder| Ok(Storage::Sqlite(folder.join("cumulo.sqlite")))),
    ("postgresql", |_| new_database().map(Storage::Postgresql)),
];

fn new_database() -> Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("moving{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    Postgres::shared().create_database(&name)
}

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Only measure a move of so many records from each engine to each
    #[arg(long)]
    records: Option<u64>,
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let program = Cumulo(match &arguments.program {
        Some(path) => std::fs::canonicalize(path)?,
        None => project::release_build("cumulo")?,
    });
    let seed = seed();
    println!("seed {seed}");
    let mut tally = Tally::default();
    for (from, open_from) in ENGINES {
        for (to, open_to) in ENGINES {
            println!("{from} to {to}");
            let records = arguments.records.unwrap_or(RECORDS);
            move_twice(&program, *open_from, *open_to, records, seed)
                .with_context(|| format!("{from} to {to}"))?;
            tally.passed += 1;
        }
        if arguments.records.is_none() {
            kill(&program, *open_from, seed).with_context(|| format!("import to {from}"))?;
            tally.passed += 1;
        }
    }
    if arguments.records.is_none() {
        tally.passed += kinto::run(&program, seed)?;
    }
    Ok(tally)
}

/// From a generated export into one engine, out, into another, out: all exports hold the same.
fn move_twice(program: &Cumulo, from: Engine, to: Engine, records: u64, seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    generate::export(&file("0.jsonl"), records, seed)?;
    let size = std::fs::metadata(file("0.jsonl"))?.len() / 1_000_000;
    println!("  {records} records, {size} MB");
    for (n, engine) in [from, to].into_iter().enumerate() {
        let place = file(&format!("store{n}"));
        std::fs::create_dir(&place)?;
        let ini = program.settings(&place, &engine(&place)?)?;
        let (input, output) = (file(&format!("{n}.jsonl")), file(&format!("{}.jsonl", n + 1)));
        for (name, used) in [
            ("import", program.import(&ini, &input)?.finish()?),
            ("export", program.export(&ini, &output)?.finish()?),
        ] {
            println!("  {name}: {:.1} s, peak {} MiB", used.seconds, used.peak_mib);
            ensure!(used.peak_mib < MAX_PEAK_MIB, "{name} used more than {MAX_PEAK_MIB} MiB");
        }
        let (before, after) = (trailer(&input)?, trailer(&output)?);
        for key in ["lists", "objects", "tombstones", "memberships", "content"] {
            ensure!(before[key] == after[key], "{key}: {} became {}", before[key], after[key]);
        }
        std::fs::remove_file(input)?;
    }
    Ok(())
}

/// An import that is killed again and again has the same result.
fn kill(program: &Cumulo, engine: Engine, seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("all.jsonl");
    let output = folder.path().join("again.jsonl");
    generate::export(&input, RECORDS, seed)?;
    let ini = program.settings(folder.path(), &engine(folder.path())?)?;
    let mut kills = 0;
    for n in 0..KILLS {
        let pause = Duration::from_millis(30 + (seed.rotate_left(5 * n) % 150));
        if program.import(&ini, &input)?.kill_after(pause)? {
            kills += 1;
        } else {
            break;
        }
    }
    ensure!(kills > 0, "the import was over before it could be killed");
    if kills == KILLS {
        program.import(&ini, &input)?.finish()?;
    }
    program.export(&ini, &output)?.finish()?;
    ensure!(trailer(&input)?["content"] == trailer(&output)?["content"], "something is different");
    println!("  the same after {kills} kills");
    Ok(())
}
