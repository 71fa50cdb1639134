//! `cargo xtask openapi`: the descriptions of the API are valid, and the real program does what they
//! say. See tests/openapi/README.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use cumulo_e2e::Server;
use cumulo_servers::Provider;

use crate::project::{self, run_and_read};
use crate::server::{ServerArguments, Store};
use crate::steps::Tally;
use crate::{packages, server};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Another build of our program
    #[arg(long, value_name = "PATH")]
    server: Option<String>,
    /// For how long to send requests, for each description
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Where the randomness begins, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { server: None, seconds: 60, seed: None }
    }
}

/// The name of a description, and where it is.
const DESCRIPTIONS: [(&str, &str); 2] =
    [("Swagger 2.0", "/v1/__api__"), ("OpenAPI 3.1", "/v1/__api__/openapi.json")];

/// Who sends the requests: nobody can make an account of this name, whose password would be checked
/// each time. The id follows from the name, the password and the secret below.
const LOGIN: &str = "tester!:secret";
const USER: &str = "basicauth:d5de29a3e58f8b8921582d83260af8755180bff07f97298faf1cbbabbbc9e86a";

/// Everything is on, and the sender may do everything.
const SETTINGS: [(&str, &str); 12] = [
    ("kinto.includes", "accounts admin counters default_bucket flush history openid prometheus"),
    ("kinto.userid_hmac_secret", "openapi"),
    ("multiauth.policies", "account basicauth auth0"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
    ("multiauth.policy.auth0.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
    ("multiauth.policy.auth0.client_id", "cumulo"),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.account_read_principals", USER),
    ("kinto.account_write_principals", USER),
    ("kinto.user-data_delete_principals", USER),
    ("kinto.experimental_permissions_endpoint", "true"),
    ("kinto.experimental_collection_schema_validation", "true"),
];

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let folder = project::root().join("tests/openapi");
    let programs = packages::python(&folder.join("requirements.txt"))?;
    let server = ServerArguments {
        server: arguments.server.clone(),
        store: Store::Memory,
        ..ServerArguments::default()
    };
    let seed = arguments.seed.unwrap_or_else(server::seed);
    let mut tally = Tally::default();
    for (name, path) in DESCRIPTIONS {
        println!("{name}, seed {seed}");
        let provider = Provider::start()?;
        let issuer = provider.url();
        let settings = [&SETTINGS[..], &[("multiauth.policy.auth0.issuer", &issuer)]].concat();
        let (data, server) = server.start(&settings)?;
        let file = fetch(&server, path, data.path())?;
        tally += validate(&programs, &file)?;
        tally += compare(&programs, &folder, &file, &server, arguments.seconds, seed)?;
        if tally.failed > 0 {
            println!("the end of the server's log:\n{}", server.log_tail());
        }
        server.stop()?;
    }
    Ok(tally)
}

/// A description as a file.
fn fetch(server: &Server, path: &str, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("description.json");
    fs::write(&file, server.connect()?.get(path)?.succeeded()?.body)?;
    Ok(file)
}

/// Whether the description is valid by the schema of its version.
fn validate(programs: &Path, file: &Path) -> Result<Tally> {
    let mut command = Command::new(programs.join("openapi-spec-validator"));
    let (valid, _) = run_and_read(command.arg(file))?;
    Ok(Tally { passed: valid.into(), failed: (!valid).into(), skipped: 0 })
}

/// Sends what the description allows, and what it does not, and compares the answers with it.
fn compare(
    programs: &Path,
    folder: &Path,
    file: &Path,
    server: &Server,
    seconds: u32,
    seed: u64,
) -> Result<Tally> {
    let mut command = Command::new(programs.join("schemathesis"));
    command.args(["--no-color", "run", "--url", &server.url(), "--auth", LOGIN]);
    command.args(["--checks", CHECKS, "--warnings", "off", "--continue-on-failure"]);
    command.args(["--max-examples", "30", "--max-time", &seconds.to_string()]);
    // Some seeds make up more headers than can be sent: nothing that the server could help.
    command.args(["--suppress-health-check", "filter_too_much"]);
    command.args(["--seed", &seed.to_string()]).arg(file);
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", folder);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    // It keeps requests that failed in its folder.
    let (success, text) = run_and_read(command.current_dir(file.parent().unwrap_or(folder)))?;
    let tally = read_summary(&text);
    if tally == Tally::default() || success != (tally.failed == 0) {
        bail!("schemathesis failed");
    }
    Ok(tally)
}

/// Operations without failures, and failures: `Tested: 57`, `933 generated, 4 found 4 unique
/// failures`.
fn read_summary(text: &str) -> Tally {
    let number = |text: &str| text.split_whitespace().next()?.parse::<usize>().ok();
    let lines = || text.lines().map(str::trim);
    let tested = lines().find_map(|line| number(line.strip_prefix("Tested:")?)).unwrap_or_default();
    let failures = lines().find_map(|line| number(line.split_once(" found ")?.1));
    let failed = failures.unwrap_or_default();
    Tally { passed: tested.saturating_sub(failed), failed, skipped: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_summary_of_schemathesis() {
        let passed =
            "API Operations:\n  Tested: 57\n\nTest cases:\n  6787 generated, 6787 passed\n";
        assert_eq!(read_summary(passed), Tally { passed: 57, failed: 0, skipped: 0 });
        let failed = "  Tested: 58\n  933 generated, 4 found 3 unique failures\n";
        assert_eq!(read_summary(failed), Tally { passed: 55, failed: 3, skipped: 0 });
        assert_eq!(read_summary("no schema"), Tally::default());
    }
}
