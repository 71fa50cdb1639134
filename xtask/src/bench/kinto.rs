//! The genuine Kinto, as people run it: uWSGI and PostgreSQL.

use std::process::Command;
use std::rc::Rc;

use anyhow::Result;
use cumulo_e2e::server::write_ini;
use cumulo_e2e::{Server, Storage};
use cumulo_servers::Postgres;

use super::target::{Database, Dialect, Target};
use crate::kinto::Kinto;
use crate::project;

pub(super) fn start(postgres: &Rc<Postgres>) -> Result<Target> {
    let kinto = Kinto::install()?;
    let database = Database::create(postgres, "python")?;
    let storage = Storage::Postgresql(database.url.clone());
    let folder = tempfile::tempdir()?;
    let ini = folder.path().join("migrate.ini");
    write_ini(&ini, 0, &storage, &[])?;
    let mut migrate = Command::new(kinto.command());
    project::run(
        migrate.args(["migrate", "-q", "--ini"]).arg(&ini).env("PYTHONWARNINGS", "ignore"),
    )?;

    let server = Server::start(&kinto.server(4), folder.path(), &storage, &[])?;
    Ok(Target::new("kinto", Dialect::Kinto, server, Some(database), folder))
}
