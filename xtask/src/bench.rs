//! `cargo xtask bench`: our release build, on SQLite and on PostgreSQL, beside the smallest program
//! that does the same, and beside Kinto on the same PostgreSQL, in one run and on one machine.
//!
//! Machines differ and are noisy, so servers take turns in short rounds, and what counts is the
//! median of the rounds, and the processor time: it hardly depends on what else the machine does.
//!
//! - [`target`]: a server under load, with its requests for each scenario
//! - [`kinto`]: the genuine server
//! - [`postgres`]: one database server for ours and for Kinto, and how much of the time it takes
//! - [`processes`]: processor time and memory of a server with all its processes
//! - [`load`]: the load generator of benches/load
//! - [`client`]: our client beside kinto-http.py
//! - [`scenarios`], [`curves`], [`table`]: what is measured, and how it is shown

mod client;
mod curves;
mod kinto;
mod load;
mod postgres;
mod processes;
mod scenarios;
mod table;
mod target;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::project;
use crate::server::ServerArguments;
use load::Generator;
use target::Target;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Shorter rounds, fewer of them, and smaller collections
    #[arg(long)]
    quick: bool,
    /// Only these: create, read, list, unchanged, batch, filter, insert, client
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these servers, or the first four; Kinto takes most of the preparations
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    servers: Vec<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Our program on SQLite, or on what --store and --database say
    Cumulo,
    /// The smallest program that does the same
    Smallest,
    /// Our program on PostgreSQL
    Postgresql,
    /// Kinto on the same PostgreSQL
    Kinto,
    /// Our program without a line for each request
    Quiet,
    /// Our program with the plugin history
    History,
    /// Our program with the plugin prometheus
    Prometheus,
    /// Our program with an event listener that writes to the log
    Listener,
}

impl Name {
    /// Whether it is there without being asked for.
    fn is_usual(self) -> bool {
        matches!(self, Self::Cumulo | Self::Smallest | Self::Postgresql | Self::Kinto)
    }

    /// The settings of our program with something more, or less, than usual.
    fn settings(self) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        match self {
            Self::Quiet => Some(("quiet", &[("kinto.log_level", "warn")])),
            Self::History => Some(("history", &[("kinto.includes", "history flush")])),
            Self::Prometheus => Some(("prometheus", &[("kinto.includes", "prometheus flush")])),
            Self::Listener => Some((
                "listener",
                &[
                    ("kinto.event_listeners", "log"),
                    ("kinto.event_listeners.log.use", "cumulo.listeners.log"),
                ],
            )),
            _ => None,
        }
    }
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == name)
    }

    fn targets(&self) -> Result<Vec<Target>> {
        let wants = |name: Name| match self.servers.as_slice() {
            [] => name.is_usual(),
            servers => servers.contains(&name),
        };
        let mut targets = Vec::new();
        if wants(Name::Cumulo) {
            targets.push(Target::cumulo("cumulo", &self.server, &[])?);
        }
        for name in Name::value_variants().iter().filter(|name| wants(**name)) {
            if let Some((title, settings)) = name.settings() {
                targets.push(Target::cumulo(title, &self.server, settings)?);
            }
        }
        if wants(Name::Smallest) {
            targets.push(Target::smallest(&project::release_build("smallest")?)?);
        }
        if wants(Name::Postgresql) || wants(Name::Kinto) {
            let server = postgres::start()?;
            if wants(Name::Postgresql) {
                targets.push(postgres::cumulo(&self.server, &server)?);
            }
            if wants(Name::Kinto) {
                targets.push(kinto::start(&server)?);
            }
        }
        Ok(targets)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.wants("client") {
        client::measure(arguments)?;
    }
    if arguments.only == ["client"] {
        return Ok(());
    }
    let generator = Generator { program: project::release_build("load")? };
    let mut targets = arguments.targets()?;
    let idle: Vec<u64> = targets.iter().map(Target::memory).collect::<Result<_>>()?;
    scenarios::measure(&generator, &mut targets, arguments)?;
    postgres::measure_alone(&generator, &targets, arguments)?;
    if arguments.wants("filter") {
        curves::filter(&generator, &targets, arguments.quick)?;
    }
    if arguments.wants("insert") {
        curves::insert(&generator, &targets, arguments.quick)?;
    }
    scenarios::show_memory(&targets, &idle);
    targets.into_iter().try_for_each(Target::stop)
}
