//! `cargo xtask client`: the Rust client against the real program and against Kinto. See
//! `tests/client`.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use cumulo_client_tests::{Outcome, Servers};
use cumulo_e2e::{Server, Storage};
use cumulo_servers::{Options, Postgres};

use crate::kinto::Kinto;
use crate::server::ServerArguments;
use crate::steps::Tally;

#[derive(Args, Default)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Only scenarios whose names contain this
    #[arg(long, value_name = "TEXT", default_value_t)]
    only: String,
}

/// Who may read all buckets: the id follows from the name and from the secret in the settings.
const ADMIN: &str = "basicauth:d79a391ec837c9dad6d4386186e707edd50b20ea9bbcd8b676e86cab91842bcf";

/// Of both servers. Basic authentication spares most scenarios the time that passwords of accounts
/// take.
const SETTINGS: [(&str, &str); 11] = [
    (
        "kinto.includes",
        "kinto.plugins.accounts kinto.plugins.default_bucket kinto.plugins.flush kinto.plugins.history",
    ),
    ("multiauth.policies", "account basicauth"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
    ("kinto.account_create_principals", "system.Everyone"),
    ("kinto.account_read_principals", "account:admin"),
    ("kinto.account_write_principals", "account:admin"),
    ("kinto.bucket_create_principals", "system.Authenticated"),
    ("kinto.bucket_read_principals", ADMIN),
    ("kinto.experimental_collection_schema_validation", "true"),
    ("kinto.experimental_permissions_endpoint", "true"),
    // So that there are pages to follow.
    ("kinto.paginate_by", "5"),
];

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let program = Kinto::install()?;
    let (_data, cumulo) = arguments.server.start(&SETTINGS)?;
    // Its store in memory has defects of its own.
    let postgres = Postgres::start(&Options::default())?;
    let storage = Storage::Postgresql(postgres.url());
    let folder = tempfile::tempdir()?;
    program.migrate(folder.path(), &storage)?;
    let kinto = Server::start(&program.waitress(), folder.path(), &storage, &SETTINGS)?;
    let servers = Servers { cumulo: cumulo.url(), kinto: kinto.url() };
    let outcomes = cumulo_client_tests::run(&servers, &arguments.only)?;
    let tally = report(&outcomes);
    if tally.failed > 0 {
        println!("the end of Cumulo's log:\n{}", cumulo.log_tail());
    }
    cumulo.stop()?;
    Ok(tally)
}

fn report(outcomes: &[Outcome]) -> Tally {
    let mut tally = Tally::default();
    for Outcome { name, problems, .. } in outcomes {
        if problems.is_empty() {
            println!("ok      {name}");
            tally.passed += 1;
        } else {
            println!("FAILED  {name}");
            problems.iter().for_each(|problem| println!("{problem}"));
            tally.failed += 1;
        }
    }
    let differences: BTreeSet<_> = outcomes.iter().flat_map(|it| &it.differences).collect();
    for difference in differences {
        println!("a difference on purpose: {difference}");
    }
    tally
}
