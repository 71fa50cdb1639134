//! `cargo xtask clients`: real clients against the real program. See tests/clients/README.md.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::packages;
use crate::project::{self, run_and_read};
use crate::server::ServerArguments;
use crate::steps::Tally;

const SETTINGS: [(&str, &str); 3] = [
    ("kinto.experimental_collection_schema_validation", "true"),
    ("kinto.experimental_permissions_endpoint", "true"),
    // So that the clients have pages to follow.
    ("kinto.paginate_by", "20"),
];

pub(crate) fn run(arguments: &ServerArguments) -> Result<Tally> {
    let folder = project::root().join("tests/clients");
    let (_data, server) = arguments.start(&SETTINGS)?;
    let mut tally = python(&folder.join("python"), &server.url())?;
    println!("kinto.js");
    tally += node(&folder.join("javascript"), &[("SERVER_URL", server.url())])?;
    if tally.failed > 0 {
        println!("the end of the server's log:\n{}", server.log_tail());
    }
    server.stop()?;
    Ok(tally)
}

fn python(folder: &Path, url: &str) -> Result<Tally> {
    println!("kinto-http.py");
    let programs = packages::python(&folder.join("requirements.txt"))?;
    pytest(&programs, folder, &[("SERVER_URL", url.to_owned())])
}

/// The tests of a folder, with `pytest` and some environment variables.
pub(crate) fn pytest(
    programs: &Path,
    folder: &Path,
    variables: &[(&str, String)],
) -> Result<Tally> {
    let mut command = Command::new(programs.join("python"));
    command.args([
        "-B",
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "--show-capture=no",
        "-p",
        "no:cacheprovider",
    ]);
    let (success, text) = run_and_read(command.arg(folder).envs(variables.iter().cloned()))?;
    let tally = Tally::read(text.lines().last().unwrap_or_default());
    if !success && tally.failed == 0 {
        bail!("pytest failed");
    }
    Ok(tally)
}

/// The tests of a folder, with Node and some environment variables. Node looks for packages beside
/// the files that import them, so the files are copied to a folder from where a link leads to the
/// packages.
pub(crate) fn node(folder: &Path, variables: &[(&str, String)]) -> Result<Tally> {
    let packages = packages::node(&folder.join("package-lock.json"))?;
    let work = tempfile::tempdir()?;
    symlink(packages, work.path().join("node_modules"))?;
    let mut command = Command::new("node");
    command.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]);
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension() == Some(OsStr::new("mjs")) {
            let copy = work.path().join(file.file_name().unwrap_or_default());
            fs::copy(&file, &copy)?;
            if copy.to_string_lossy().ends_with(".test.mjs") {
                command.arg(copy);
            }
        }
    }
    command.envs(variables.iter().cloned()).current_dir(work.path());
    let (success, text) = run_and_read(&mut command)?;
    let tally = read_node(&text);
    if !success && tally.failed == 0 {
        bail!("node failed");
    }
    Ok(tally)
}

/// The closing lines of Node's test runner: `ℹ pass 3`.
fn read_node(text: &str) -> Tally {
    let count = |name: &str| -> usize {
        let lines = text.lines().filter_map(|line| line.strip_prefix("ℹ "));
        let numbers =
            lines.filter_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok());
        numbers.sum()
    };
    Tally {
        passed: count("pass "),
        failed: count("fail ") + count("cancelled "),
        skipped: count("skipped "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_closing_lines_of_node() {
        let text =
            "✔ pass 12 (3 ms)\nℹ tests 21\nℹ pass 20\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\n";
        assert_eq!(read_node(text), Tally { passed: 20, failed: 1, skipped: 0 });
    }
}
