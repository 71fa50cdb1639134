//! Where things are, and how commands are run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace").to_owned()
}

/// Cargo's target folder: this program runs from there.
pub(crate) fn target() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    Ok(here.parent().and_then(Path::parent).context("not run by cargo")?.to_owned())
}

/// Where installed packages are kept between runs, and shared by clones.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir().context("no home folder")?.join(".cache"),
    };
    let folder = base.join("cumulo");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A package of the workspace, built in release mode: the path of its program.
pub(crate) fn release_build(package: &str) -> Result<PathBuf> {
    run(Command::new("cargo").args(["build", "--quiet", "--release", "--package", package]))?;
    Ok(target()?.join("release").join(package))
}

/// An example of a package, built in release mode: the path of its program.
pub(crate) fn release_example(package: &str, name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--package", package, "--example", name]);
    run(&mut cargo)?;
    Ok(target()?.join("release/examples").join(name))
}

/// Run a command in the workspace; fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = in_root(command).status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Run a command in the workspace, show what it prints, and return it. The flag tells success.
pub(crate) fn run_and_read(command: &mut Command) -> Result<(bool, String)> {
    use std::io::{BufRead, BufReader};

    let mut child = in_root(command)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let output = child.stdout.take().expect("stdout is piped");
    let mut text = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        text += &line;
        text.push('\n');
    }
    Ok((child.wait()?.success(), text))
}

fn in_root(command: &mut Command) -> &mut Command {
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    command.stdin(Stdio::null())
}

fn name(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
