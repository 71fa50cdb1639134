//! The commands, each in a file of its own.

mod apply;
mod completions;
mod copy;
mod delete;
mod diff;
mod download;
mod get;
mod history;
mod info;
mod list;
mod login;
mod logout;
mod man;
mod patch;
mod put;
mod replicate;
mod sync;
mod upload;
mod watch;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Subcommand;
use cumulo_client::{Object, Timestamp};
use serde_json::{Value, json};

use crate::{Error, Result, Surroundings, address::Target};

/// What a person can do on a server.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Show an object
    #[command(after_help = get::EXAMPLES)]
    Get(get::Get),
    /// Create an object, or replace one
    #[command(after_help = put::EXAMPLES)]
    Put(put::Put),
    /// Change a part of an object
    #[command(after_help = patch::EXAMPLES)]
    Patch(patch::Patch),
    /// Delete an object, or those of a list that pass filters
    #[command(after_help = delete::EXAMPLES)]
    Delete(delete::Delete),
    /// List objects: buckets, the collections of a bucket, the records of a collection, …
    #[command(after_help = list::EXAMPLES)]
    List(list::List),
    /// Make a server have the buckets, groups, collections and permissions that a file names
    #[command(after_help = apply::EXAMPLES)]
    Apply(apply::Apply),
    /// Show changes as they come, as lines of JSON
    #[command(after_help = watch::EXAMPLES)]
    Watch(watch::Watch),
    /// Show what happened in a bucket, or forget it
    #[command(after_help = history::EXAMPLES)]
    History(history::History),
    /// Write the objects of files to a server: JSON, lines of JSON, CSV
    #[command(after_help = upload::EXAMPLES)]
    Upload(upload::Upload),
    /// Write the objects of a server to a file
    #[command(after_help = download::EXAMPLES)]
    Download(download::Download),
    /// Copy a bucket or a collection, with timestamps and permissions
    #[command(after_help = copy::EXAMPLES)]
    Copy(copy::Copy),
    /// Show how two buckets or collections differ
    #[command(after_help = diff::EXAMPLES)]
    Diff(diff::Diff),
    /// Make a bucket or collection as another is, here or on another server
    #[command(after_help = sync::EXAMPLES)]
    Sync(sync::Sync),
    /// Keep a server and credentials as a profile
    #[command(after_help = login::EXAMPLES)]
    Login(login::Login),
    /// Forget a profile
    #[command(after_help = logout::EXAMPLES)]
    Logout(logout::Logout),
    /// Show what a server is, and who you are there
    #[command(after_help = info::EXAMPLES)]
    Info(info::Info),
    /// Print what makes a shell complete commands and options
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Completions),
    /// Write the manual pages
    #[command(after_help = man::EXAMPLES)]
    Man(man::Man),
}

/// Does a command. That nobody reads its output to the end is no error.
pub fn run(command: Command, surroundings: &Surroundings) -> Result<()> {
    let done = match command {
        Command::Get(args) => args.run(surroundings),
        Command::Put(args) => args.run(surroundings),
        Command::Patch(args) => args.run(surroundings),
        Command::Delete(args) => args.run(surroundings),
        Command::List(args) => args.run(surroundings),
        Command::Apply(args) => args.run(surroundings),
        Command::Watch(args) => args.run(surroundings),
        Command::History(args) => args.run(surroundings),
        Command::Upload(args) => args.run(surroundings),
        Command::Download(args) => args.run(surroundings),
        Command::Copy(args) => args.run(surroundings),
        Command::Diff(args) => args.run(surroundings),
        Command::Sync(args) => args.run(surroundings),
        Command::Login(args) => args.run(surroundings),
        Command::Logout(args) => args.run(surroundings),
        Command::Info(args) => args.run(surroundings),
        Command::Completions(args) => args.run(surroundings),
        Command::Man(args) => args.run(surroundings),
    };
    match done {
        Err(error) if error.is_broken_pipe() => Ok(()),
        done => done,
    }
}

/// What is shown of an object: its data, or with its permissions.
fn shown(object: Object, full: bool) -> Value {
    if full { json!({"data": object.data, "permissions": object.permissions}) } else { object.data }
}

/// Refuses an address that names nothing where something is written: an empty variable in a script
/// must not mean all buckets.
fn check_named(target: &Target) -> Result<()> {
    if *target != Target::Server {
        return Ok(());
    }
    let problem = "the address names nothing\n  all buckets, if they are meant, are /buckets";
    Err(Error::Usage(problem.to_owned()))
}

/// A timestamp as the protocol has it, with or without quotes.
fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected a timestamp such as 1700000000000".to_owned())
}

/// Asks before something is done that can't be undone.
fn confirm(yes: bool, question: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let problem = format!("{question} Nobody is there to answer: give --yes");
        return Err(Error::Usage(problem));
    }
    let answer = line(&format!("{question} [y/N] "))?;
    let means_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if means_yes { Ok(()) } else { Err(Error::Aborted) }
}

/// Asks for a line.
fn line(question: &str) -> Result<String> {
    write!(io::stderr(), "{question}")?;
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(0) | Err(_) => Err(Error::Aborted),
        Ok(_) => Ok(answer.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

/// A number of things, in words.
fn number(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", indicatif::HumanCount(n), if n == 1 { one } else { many })
}
