//! `cargo xtask bench`: our release build beside the smallest program that does the same, and
//! beside Kinto on PostgreSQL, in one run and on one machine.
//!
//! Machines differ and are noisy, so servers take turns in short rounds, and what counts is the
//! median of the rounds, and the processor time: it hardly depends on what else the machine does.
//!
//! - [`target`]: a server under load, with its requests for each scenario
//! - [`kinto`], [`postgres`]: the genuine server and its database
//! - [`processes`]: processor time and memory of a server with all its processes
//! - [`load`]: the load generator of benches/load
//! - [`scenarios`], [`curves`], [`table`]: what is measured, and how it is shown

mod curves;
mod kinto;
mod load;
mod processes;
mod scenarios;
mod table;
mod target;

use anyhow::Result;
use clap::Args;

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
    /// Only these: create, read, list, unchanged, batch, filter, insert
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave out Kinto, which takes most of the preparations
    #[arg(long)]
    no_kinto: bool,
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == name)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let generator = Generator { program: project::release_build("load")? };
    let mut targets = vec![
        Target::cumulo(&arguments.server)?,
        Target::smallest(&project::release_build("smallest")?)?,
    ];
    if !arguments.no_kinto {
        targets.push(kinto::start()?);
    }
    let idle: Vec<u64> = targets.iter().map(Target::memory).collect::<Result<_>>()?;
    scenarios::measure(&generator, &mut targets, arguments)?;
    if arguments.wants("filter") {
        curves::filter(&generator, &targets, arguments.quick)?;
    }
    if arguments.wants("insert") {
        curves::insert(&generator, &targets, arguments.quick)?;
    }
    scenarios::show_memory(&targets, &idle);
    targets.into_iter().try_for_each(Target::stop)
}
