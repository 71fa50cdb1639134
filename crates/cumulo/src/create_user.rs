//! `cumulo create-user`: creates an account, or gives one another password.

use std::{
    fmt,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
};

use anyhow::bail;

use crate::{
    args,
    config::{Config, Env},
    logging, say, wiring,
};

/// Why the command did not do it, as Kinto's exit codes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Refusal {
    /// The settings forbid writing.
    ReadOnly = 51,
    /// There are no accounts.
    NoAccounts = 52,
    /// Nobody answered.
    Aborted = 53,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "Cannot create a user with a readonly server.",
            Self::NoAccounts => "Cannot create a user when the accounts plugin is not installed.",
            Self::Aborted => "User creation aborted.",
        })
    }
}

/// Runs the command.
pub(crate) fn run(args: &args::CreateUser, env: &Env) -> anyhow::Result<()> {
    let config = Config::of_command(&args.stored, env)?;
    let _logs = logging::start(&config.settings, &args.stored.common)?;
    if config.settings.readonly {
        bail!(Refusal::ReadOnly);
    }
    if !config.has_accounts() {
        bail!(Refusal::NoAccounts);
    }
    if !config.is_durable() {
        bail!("the storage is in memory: an account would be gone at once");
    }
    let name = match &args.username {
        Some(name) => checked(name, wiring::name_problem)?,
        None => ask(wiring::name_problem, || line("Username: "))?,
    };
    let problem = |password: &str| wiring::password_problem(&config.settings, password);
    let password = match &args.password {
        Some(password) => checked(password, problem)?,
        None => ask_password(&name, problem)?,
    };
    wiring::put_account(&config, &name, &password)?;
    if args.stored.common.quiet { Ok(()) } else { say(&format!("The account '{name}' is set up.")) }
}

fn checked(text: &str, problem: impl Fn(&str) -> Option<&'static str>) -> anyhow::Result<String> {
    match problem(text) {
        Some(problem) => bail!(problem),
        None => Ok(text.to_owned()),
    }
}

/// Asks at a terminal until there is no problem with the answer.
fn ask(
    problem: impl Fn(&str) -> Option<&'static str>,
    question: impl Fn() -> io::Result<String>,
) -> anyhow::Result<String> {
    loop {
        let answer = question().map_err(aborted)?;
        match problem(&answer) {
            None => return Ok(answer),
            Some(problem) => tell(problem)?,
        }
    }
}

/// A password is not shown, and so typed twice at a terminal.
fn ask_password(
    name: &str,
    problem: impl Fn(&str) -> Option<&'static str>,
) -> anyhow::Result<String> {
    let question = format!("Please enter a password for {name}: ");
    if !io::stdin().is_terminal() {
        return ask(problem, || line(&question));
    }
    loop {
        let hidden = || rpassword::prompt_password(&question);
        let password = ask(&problem, hidden)?;
        let again = rpassword::prompt_password("Please confirm the password: ").map_err(aborted)?;
        if again == password {
            return Ok(password);
        }
        tell("Sorry, passwords do not match, please try again.")?;
    }
}

/// Asks for a line.
pub(crate) fn line(question: &str) -> io::Result<String> {
    write!(io::stderr(), "{question}")?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// Speaks beside the output of the program.
fn tell(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{text}")?)
}

fn aborted(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => Refusal::Aborted.into(),
        _ => anyhow::Error::new(error).context("can't read the answer"),
    }
}
