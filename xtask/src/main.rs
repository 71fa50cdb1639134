//! Build and upkeep.
//!
//! `cargo xtask test` is all of CI; the other commands are its parts, and the benchmark.
#![expect(clippy::print_stdout, reason = "a command line tool prints")]

mod clients;
mod conformance;
mod crash;
mod disk;
mod packages;
mod project;
mod server;
mod steps;
mod test;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Build and upkeep", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// All of CI: lints, tests, documentation, conformance
    Test,
    /// Run Kinto's own web tests against the release build
    Conformance(conformance::Arguments),
    /// Run kinto-http.py and kinto.js against the release build
    Clients(server::ServerArguments),
    /// Kill the release build while clients write, and check what it has kept
    Crash(crash::Arguments),
    /// Fill the disk of the release build, and make its file read-only
    Disk(disk::Arguments),
}

fn main() -> anyhow::Result<()> {
    let tally = match Arguments::parse().task {
        Task::Test => test::run_everything(),
        Task::Conformance(arguments) => conformance::run(&arguments)?,
        Task::Clients(arguments) => clients::run(&arguments)?,
        Task::Crash(arguments) => crash::run(&arguments)?,
        Task::Disk(arguments) => disk::run(&arguments)?,
    };
    println!("{tally}");
    std::process::exit(i32::from(tally.failed > 0));
}
