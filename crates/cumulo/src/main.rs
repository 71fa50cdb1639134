//! The program: command line and composition root.
//!
//! - [`args`]: the command line; [`ini`]: the settings file
//! - [`config`]: what comes of both, of the environment and of no configuration at all
//! - [`administrator`]: the first account; [`reload`]: other settings while it serves
//! - [`start`], [`init`], [`migrate`], [`flush_cache`], [`create_user`], [`moving`], [`health`]: the commands; [`wiring`]: the only place that names concrete
//!   stores and plugins

mod administrator;
mod args;
mod config;
mod create_user;
mod flush_cache;
mod health;
mod ini;
mod init;
mod logging;
mod migrate;
mod moving;
#[cfg(unix)]
mod reload;
mod secrets;
mod start;
mod wiring;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;

use crate::{
    args::{Args, Command},
    config::Env,
};

/// Answers are many small allocations on few threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Args::parse().command();
    match run(command, &Env::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails too.
            let _ = writeln!(io::stderr(), "cumulo: {error:#}");
            let refusal = error.downcast_ref::<create_user::Refusal>();
            refusal.map_or(ExitCode::FAILURE, |refusal| ExitCode::from(*refusal as u8))
        }
    }
}

fn run(command: Command, env: &Env) -> anyhow::Result<()> {
    match command {
        Command::Start(args) => start::run(&args, env),
        Command::Init(args) => init::run(&args, env),
        Command::Migrate(args) => migrate::run(&args, env),
        Command::FlushCache(args) => flush_cache::run(&args, env),
        Command::CreateUser(args) => create_user::run(&args, env),
        Command::Export(args) => moving::export(&args, env),
        Command::Import(args) => moving::import(&args, env),
        Command::Health(args) => health::run(&args),
        Command::Version(_) => say(env!("CARGO_PKG_VERSION")),
        Command::Settings => say(cumulo_core::settings::reference().trim_end()),
    }
}

/// Prints for the user.
fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        // Whoever reads has read enough: `cumulo settings | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
