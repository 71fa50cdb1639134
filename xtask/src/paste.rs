//! Pages whose commands a reader pastes: all of them are run, word for word, one after the other.
//!
//! Only three things differ for the reader: the program is the one under test, on a free port, and
//! the password that it prints is pasted by `paste.sh`. A command fails unless it is answered with
//! success, or with what a comment behind it says: `# answers 401`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use cumulo_e2e::server::free_port;

use crate::project;
use crate::steps::Tally;

const PAGES: [&str; 4] =
    ["README.md", "docs/quick-start.md", "docs/opening-up.md", "docs/command-line.md"];
const PRELUDE: &str = include_str!("paste.sh");
const ADDRESS: &str = "127.0.0.1:8888";

pub(crate) fn run(executable: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    for page in PAGES {
        let commands = commands(&fs::read_to_string(project::root().join(page))?);
        ensure!(commands.contains("http://127.0.0.1:8888"), "{page} has no commands");
        if paste(executable, &commands)? {
            println!("{page}: all commands work");
            tally.passed += 1;
        } else {
            println!("{page}: the last command above failed");
            tally.failed += 1;
        }
    }
    Ok(tally)
}

/// Runs commands in an empty folder; shows them if one fails.
fn paste(executable: &Path, commands: &str) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let script = commands.replace(ADDRESS, &format!("127.0.0.1:{port}"));
    let output = Command::new("bash")
        .args(["-c", &format!("{PRELUDE}{script}")])
        .current_dir(&folder)
        .env("CUMULO", executable)
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stdout));
        println!("{}", String::from_utf8_lossy(&output.stderr));
        println!("{}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }
    Ok(output.status.success())
}

/// The commands in the `sh` blocks of a page.
fn commands(page: &str) -> String {
    let mut commands = String::new();
    let mut lines = page.lines();
    while lines.any(|line| line == "```sh") {
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        // What goes on in the next line is one command.
        for command in block.join("\n").replace("\\\n", "\\\u{0}").lines() {
            match command.rsplit_once("# answers ") {
                Some((command, status)) => commands.extend(["answers ", status, " ", command]),
                None => commands += command,
            }
            commands.push('\n');
        }
    }
    commands.replace('\u{0}', "\n")
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn commands_are_those_of_the_shell_blocks() {
        let page = "Text\n```sh\na\nb \\\n  c  # answers 401\n```\n```ini\nd\n```\n```sh\ne\n```\n";
        assert_eq!(commands(page), "a\nanswers 401 b \\\n  c  \ne\n");
    }
}
