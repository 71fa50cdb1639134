//! The program: command line and composition root. As a library, for servers with plugins of their
//! own:
//!
//! ```no_run
//! use cumulo::Program;
//! use cumulo_core::plugin::Plugin;
//!
//! struct Hello;
//!
//! impl Plugin for Hello {
//!     fn name(&self) -> &'static str {
//!         "hello"
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Program::default().with_plugin("hello", |_settings| Box::new(Hello)).run()
//! }
//! ```
//!
//! The plugin is on when the setting `includes` names it. Inside:
//!
//! - `args`: the command line; `ini`: the settings file
//! - `config`: what comes of both, of the environment and of no configuration at all
//! - `logging`: lines on the standard error; `telemetry`: reports to others
//! - `administrator`: the first account; `reload`: other settings while it serves
//! - `start`, `init`, `migrate`, `flush_cache`, `create_user`, `moving`, `upkeep`,
//!   `health`: the commands; `wiring`: the only place that names concrete stores and plugins

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
mod telemetry;
mod upkeep;
mod wiring;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use cumulo_cli::Surroundings;
#[cfg(doc)]
use cumulo_core::settings::Settings;
use cumulo_plugins::BuiltIn;

use crate::{
    args::{Args, Command},
    config::Env,
};

/// The program with its plugins.
#[derive(Debug, Default)]
pub struct Program {
    plugins: Vec<BuiltIn>,
}

impl Program {
    /// Adds a plugin under the name that it has in the setting `includes`. `make` is called with
    /// the settings if that names it; what begins with the name and a dot, such as
    /// `hello.greeting`, is in [`Settings::of_plugins`].
    #[must_use]
    pub fn with_plugin(mut self, name: &'static str, make: cumulo_plugins::Constructor) -> Self {
        self.plugins.push((name, make));
        self
    }

    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        let command = Args::parse().command();
        match run(command, &Env::of_process(self.plugins)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let told = format!("{error:#}");
                if !told.is_empty() {
                    // Nobody is left to tell if this fails too.
                    let _ = writeln!(io::stderr(), "cumulo: {told}");
                }
                let code = error.downcast_ref::<create_user::Refusal>().map(|it| *it as u8);
                let code = code.or_else(|| Some(error.downcast_ref::<upkeep::Refusal>()?.code()));
                let code =
                    code.or_else(|| Some(error.downcast_ref::<cumulo_cli::Error>()?.exit_code()));
                code.map_or(ExitCode::FAILURE, ExitCode::from)
            }
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
        Command::DeleteUser(args) => upkeep::delete_user(&args, env),
        Command::PurgeDeleted(args) => upkeep::purge_deleted(&args, env),
        Command::DeleteCollection(args) => upkeep::delete_collection(&args, env),
        Command::RenameCollection(args) => upkeep::rename_collection(&args, env),
        Command::Counters(args) => upkeep::counters(&args, env),
        Command::Check(args) => upkeep::check(&args, env),
        Command::Export(args) => moving::export(&args, env),
        Command::Import(args) => moving::import(&args, env),
        Command::Health(args) => health::run(&args),
        Command::Version(_) => say(env!("CARGO_PKG_VERSION")),
        Command::Settings => say(cumulo_core::settings::reference().trim_end()),
        Command::Client(command) => {
            let surroundings = Surroundings {
                config: env.personal(),
                program: <Args as clap::CommandFactory>::command,
            };
            Ok(cumulo_cli::run(*command, &surroundings)?)
        }
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
