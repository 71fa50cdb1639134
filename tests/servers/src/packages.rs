//! Programs that must be there: as root on Debian, what is missing is installed.
#![expect(clippy::print_stdout, reason = "an installation takes long enough to be told")]

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program in the `PATH`, from one of these Debian packages.
pub fn need(program: &str, packages: &[&str]) -> Result<()> {
    need_where(program, packages, || exists(program).then_some(()))
}

/// What `find` finds, before or after these Debian packages are installed. Processes that need
/// packages at the same time wait for each other.
pub fn need_where<T>(program: &str, packages: &[&str], find: impl Fn() -> Option<T>) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !is_root()? || !exists("apt-get") {
        bail!("{program} is not installed (Debian: {})", packages.join(" "));
    }
    let lock = File::create(std::env::temp_dir().join("cumulo-packages.lock"))?;
    lock.lock()?;
    if find().is_none() {
        install(packages)?;
    }
    find().with_context(|| format!("{program} is missing after {}", packages.join(" ")))
}

/// Whether we may mount, change users and install packages.
pub fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(" "));
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.args(arguments).status().context("cannot run apt-get")?;
    if !status.success() {
        bail!("apt-get {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

fn exists(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}
