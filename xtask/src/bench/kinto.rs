//! The genuine Kinto, as people run it: uWSGI and PostgreSQL.

use std::process::Command;
use std::rc::Rc;

use anyhow::Result;
use cumulo_e2e::server::write_ini;
use cumulo_e2e::{Program, Server, Storage};
use cumulo_servers::Postgres;

use super::target::{Database, Dialect, Target};
use crate::{packages, project};

pub(super) fn start(postgres: &Rc<Postgres>) -> Result<Target> {
    let programs = packages::python(&project::root().join("benches/kinto/requirements.txt"))?;
    let database = Database::create(postgres, "python")?;
    let storage = Storage::Postgresql(database.url.clone());
    let folder = tempfile::tempdir()?;
    let ini = folder.path().join("migrate.ini");
    write_ini(&ini, 0, &storage, &[])?;
    let mut migrate = Command::new(programs.join("kinto"));
    project::run(
        migrate.args(["migrate", "-q", "--ini"]).arg(&ini).env("PYTHONWARNINGS", "ignore"),
    )?;

    let uwsgi = programs.join("uwsgi").display().to_string();
    let options = "--paste config:{ini} --http 127.0.0.1:{port} --http-keepalive --master \
                   --processes 4 --lazy-apps --need-app --die-on-term --no-orphans \
                   --disable-logging --buffer-size 65535";
    let words = std::iter::once(uwsgi).chain(options.split_whitespace().map(String::from));
    let server = Server::start(&Program::new(words), folder.path(), &storage, &[])?;
    Ok(Target::new("kinto", Dialect::Kinto, server, Some(database), folder))
}
