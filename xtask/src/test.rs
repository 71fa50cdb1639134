//! `cargo xtask test`: all of CI, on a fresh clone too.

use std::process::Command;

use anyhow::{Result, bail};

use crate::conformance::{self, Backend, Cache};
use crate::project::{self, run, run_and_read};
use crate::server::ServerArguments;
use crate::steps::{Steps, Tally};
use crate::{
    attachments, client, clients, copies, crash, disk, example, fuzz, listeners, moving, openapi,
    openid, packages, replica, supply_chain, together,
};

/// Run every step, whatever comes of the others; those that need the program are left out when it
/// does not build.
pub(crate) fn run_everything() -> Tally {
    let mut steps = Steps::default();
    steps.run("installation", || install().map(|()| Tally::default()));
    steps.run("format", || quiet(cargo(&["fmt", "--all", "--check"])));
    steps.run("clippy", || {
        let lint = ["clippy", "--quiet", "--workspace", "--all-targets"];
        quiet(cargo(&lint).args(["--", "-D", "warnings"]))?;
        let bare = ["clippy", "--quiet", "--package", "cumulo-client", "--no-default-features"];
        quiet(cargo(&bare).args(["--", "-D", "warnings"]))
    });
    steps.run("unit tests", unit_tests);
    steps.run("documentation", || {
        let doc = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
        quiet(cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.run("supply chain", supply_chain::run);
    let built =
        steps.run("release build", || project::release_build("cumulo").map(|_| Tally::default()));
    if built {
        steps.run("conformance, memory", || conformance::run_all(Backend::Memory));
        steps.run("conformance, sqlite", || conformance::run_all(Backend::Sqlite));
        steps.run("conformance, postgresql", || conformance::run_all(Backend::Postgresql));
        steps.run("conformance, redis", || conformance::run_cache(Cache::Redis));
        steps.run("conformance, memcached", || conformance::run_cache(Cache::Memcached));
        steps.run("client", || client::run(&client::Arguments::default()));
        steps.run("clients", || clients::run(&ServerArguments::default()));
        steps.run("attachments", || attachments::run(&attachments::Arguments::default()));
        steps.run("openid", || openid::run(&ServerArguments::default()));
        steps.run("example", || example::run(&ServerArguments::default()));
        steps.run("crash", || crash::run(&crash::Arguments::default()));
        steps.run("copies", || copies::run(&copies::Arguments::default()));
        steps.run("listeners", || listeners::run(&listeners::Arguments::default()));
        steps.run("disk", || disk::run(&disk::Arguments::default()));
        steps.run("moving", || moving::run(&moving::Arguments::default()));
        steps.run("replica", || replica::run(&replica::Arguments::default()));
        steps.run("fuzz", || fuzz::run(&fuzz::Arguments::default()));
        steps.run("openapi", || openapi::run(&openapi::Arguments::default()));
        steps.run("together", || together::run(&together::Arguments::default()));
    }
    steps.finish()
}

/// What other steps need from the system. The packages of Python and Node are installed by the
/// steps that use them, and the toolchain by rustup.
fn install() -> Result<()> {
    packages::need("git", &["git"])?;
    packages::need("curl", &["curl"])?;
    packages::need("cc", &["build-essential"])?;
    packages::need("python3", &["python3", "python3-venv"])?;
    packages::need("node", &["nodejs"])?;
    packages::need("npm", &["npm"])?;
    packages::need("redis-server", &["redis-server"])?;
    packages::need("memcached", &["memcached"])?;
    packages::need("prlimit", &["util-linux"])
}

fn unit_tests() -> Result<Tally> {
    let (success, text) =
        run_and_read(&mut cargo(&["test", "--quiet", "--workspace", "--no-fail-fast"]))?;
    let mut tally = Tally::default();
    for line in text.lines().filter(|line| line.starts_with("test result:")) {
        tally += Tally::read(line);
    }
    if !success && tally.failed == 0 {
        bail!("cargo test failed");
    }
    Ok(tally)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}

/// A step that has no tests to count.
fn quiet(mut command: impl std::borrow::BorrowMut<Command>) -> Result<Tally> {
    run(command.borrow_mut()).map(|()| Tally::default())
}
