//! `cargo xtask dist`: what is given to users: a static program and a Debian package. Not a part of
//! CI: it builds the program twice more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::project::{self, run};
use crate::{packages, steps::Tally};

const CARGO_DEB: &str = "3.8.0";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build without optimization, to try the packaging
    #[arg(long)]
    debug: bool,
}

pub(crate) fn run_all(arguments: &Arguments) -> Result<Tally> {
    let profile = if arguments.debug { "dev" } else { "release" };
    let folder = project::target()?.join("dist");
    fs::create_dir_all(&folder)?;
    for made in [static_program(profile, &folder)?, debian_package(profile, &folder)?] {
        println!("{}", made.display());
    }
    Ok(Tally { passed: 2, ..Tally::default() })
}

/// The program without any library of the system: the steps of packaging/Dockerfile.
fn static_program(profile: &str, folder: &Path) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    packages::need("musl-gcc", &["musl-tools"])?;
    run(Command::new("rustup").args(["target", "add", &target]))?;
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--package", "cumulo", "--profile", profile]);
    run(build.args(["--target", &target]))?;
    let made = project::target()?.join(&target).join(output(profile)).join("cumulo");
    check(&made)?;
    let program = folder.join(format!("cumulo-{target}"));
    fs::copy(made, &program)?;
    Ok(program)
}

/// The package for this system; it is taken apart and its program run.
fn debian_package(profile: &str, folder: &Path) -> Result<PathBuf> {
    packages::need("dpkg-deb", &["dpkg"])?;
    let cargo_deb = packages::cargo("cargo-deb", CARGO_DEB)?;
    run(Command::new("cargo").args(["build", "--locked", "-p", "cumulo", "--profile", profile]))?;
    write_share(&project::target()?.join(output(profile)))?;
    let mut deb = Command::new(cargo_deb);
    deb.args(["--package", "cumulo", "--no-build", "--profile", profile, "--output"]);
    let package = folder.join(format!("cumulo-{}.deb", std::env::consts::ARCH));
    run(deb.arg(&package))?;
    let content = tempfile::tempdir()?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(content.path()))?;
    check(&content.path().join("usr/bin/cumulo"))?;
    for file in [
        "etc/cumulo/cumulo.ini",
        "usr/lib/systemd/system/cumulo.service",
        "usr/share/man/man1/cumulo-list.1.gz",
        "usr/share/bash-completion/completions/cumulo",
    ] {
        ensure!(content.path().join(file).exists(), "the package lacks {file}");
    }
    Ok(package)
}

/// What the program in a folder says of itself: manual pages and completions.
fn write_share(folder: &Path) -> Result<()> {
    let program = folder.join("cumulo");
    let share = folder.join("share");
    fs::create_dir_all(&share)?;
    run(Command::new(&program).arg("man").arg(share.join("man1")))?;
    for (shell, name) in [("bash", "cumulo.bash"), ("fish", "cumulo.fish"), ("zsh", "_cumulo")] {
        let script = fs::File::create(share.join(name))?;
        run(Command::new(&program).args(["completions", shell]).stdout(script))?;
    }
    Ok(())
}

/// The folder of a profile.
fn output(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

/// Whether a program runs here.
fn check(program: &Path) -> Result<()> {
    let output = Command::new(program).arg("version").output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let version = String::from_utf8_lossy(&output.stdout);
    ensure!(version.trim() == env!("CARGO_PKG_VERSION"), "{} is {version}", program.display());
    Ok(())
}
