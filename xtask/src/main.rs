//! Build and upkeep.
//!
//! `cargo xtask test` is all of CI; the other commands are its parts, and the benchmark.
#![expect(clippy::print_stdout, reason = "a command line tool prints")]

#[cfg(test)]
mod architecture;
mod attachments;
mod bench;
mod client;
mod clients;
mod conformance;
mod copies;
mod crash;
mod disk;
mod dist;
mod example;
mod fuzz;
mod kinto;
mod listeners;
mod moving;
mod openapi;
mod openid;
mod packages;
mod paste;
mod project;
mod replica;
mod server;
mod steps;
mod supply_chain;
mod test;
mod together;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::Tally;

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
    /// Use the release build and Kinto with our client, async and blocking
    Client(client::Arguments),
    /// Run kinto-http.py and kinto.js against the release build
    Clients(server::ServerArguments),
    /// Send files to kinto-attachment with our client, and get them
    Attachments(attachments::Arguments),
    /// Run the commands of README and guide, load real data into the release build, and check its
    /// answers
    /// Log in to the release build with real identity providers
    Openid(server::ServerArguments),
    /// Load real data into the release build, and check its answers
    Example(server::ServerArguments),
    /// Kill the release build while clients write, and check what it has kept
    Crash(crash::Arguments),
    /// Restart everything under copies of the release build, while clients hop between them
    Copies(copies::Arguments),
    /// Fill the disk of the release build, and make its file read-only
    Disk(disk::Arguments),
    /// Read from a PostgreSQL standby of the release build's database, and promote it
    Replica(replica::Arguments),
    /// Send bad input of every kind to the release build
    Fuzz(fuzz::Arguments),
    /// Kill the release build while it tells others of changes, and check what they were told
    Listeners(listeners::Arguments),
    /// Move everything between stores and from Kinto with the release build, killing it on the way
    Moving(moving::Arguments),
    /// Compare the release build with the descriptions of its API
    Openapi(openapi::Arguments),
    /// Run the release build and Kinto on one database
    Together(together::Arguments),
    /// Check other people's crates: licenses, sources, known vulnerabilities
    SupplyChain,
    /// Make the static program and the Debian package
    Dist(dist::Arguments),
    /// Measure the release build beside the smallest program that does the same, and beside Kinto
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(tally)) => {
            println!("{tally}");
            ExitCode::from(u8::from(tally.failed > 0))
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the counts of tests, if the task has any.
fn run() -> anyhow::Result<Option<Tally>> {
    match Arguments::parse().task {
        Task::Test => Ok(test::run_everything()),
        Task::Conformance(arguments) => conformance::run(&arguments),
        Task::Client(arguments) => client::run(&arguments),
        Task::Clients(arguments) => clients::run(&arguments),
        Task::Attachments(arguments) => attachments::run(&arguments),
        Task::Openid(arguments) => openid::run(&arguments),
        Task::Example(arguments) => example::run(&arguments),
        Task::Crash(arguments) => crash::run(&arguments),
        Task::Copies(arguments) => copies::run(&arguments),
        Task::Disk(arguments) => disk::run(&arguments),
        Task::Replica(arguments) => replica::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Listeners(arguments) => listeners::run(&arguments),
        Task::Moving(arguments) => moving::run(&arguments),
        Task::Openapi(arguments) => openapi::run(&arguments),
        Task::Together(arguments) => together::run(&arguments),
        Task::SupplyChain => supply_chain::run(),
        Task::Dist(arguments) => dist::run_all(&arguments),
        Task::Bench(arguments) => return bench::run(&arguments).map(|()| None),
    }
    .map(Some)
}
