//! The genuine Kinto, as people run it: uWSGI and PostgreSQL.

use std::rc::Rc;

use anyhow::Result;
use cumulo_e2e::{Server, Storage};
use cumulo_servers::Postgres;

use super::target::{Database, Dialect, Target};
use crate::kinto::Kinto;

pub(super) fn start(postgres: &Rc<Postgres>) -> Result<Target> {
    let kinto = Kinto::install()?;
    let database = Database::create(postgres, "python")?;
    let storage = Storage::Postgresql(database.url.clone());
    let folder = tempfile::tempdir()?;
    kinto.migrate(folder.path(), &storage)?;
    let server = Server::start(&kinto.server(4), folder.path(), &storage, &[])?;
    Ok(Target::new("kinto", Dialect::Kinto, server, Some(database), folder))
}
