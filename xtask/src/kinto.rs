//! The genuine Kinto, in its pinned version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use cumulo_e2e::server::write_ini;
use cumulo_e2e::{Program, Storage};

use crate::{packages, project};

/// An installation.
pub(crate) struct Kinto {
    programs: PathBuf,
}

impl Kinto {
    /// Installs it, unless that is done.
    pub(crate) fn install() -> Result<Self> {
        let requirements = project::root().join("benches/kinto/requirements.txt");
        Ok(Self { programs: packages::python(&requirements)? })
    }

    /// Its command line.
    pub(crate) fn command(&self) -> PathBuf {
        self.programs.join("kinto")
    }

    /// Makes its tables.
    pub(crate) fn migrate(&self, folder: &Path, storage: &Storage) -> Result<()> {
        let ini = folder.join("migrate.ini");
        write_ini(&ini, 0, storage, &[])?;
        let mut migrate = Command::new(self.command());
        migrate.args(["migrate", "-q", "--ini"]).arg(&ini).env("PYTHONWARNINGS", "ignore");
        project::run(&mut migrate)
    }

    /// Served by one process, which answers a single client sooner than uWSGI does.
    pub(crate) fn waitress(&self) -> Program {
        let command = self.command().display().to_string();
        Program::new([&command, "start", "--ini", "{ini}", "--port", "{port}"].map(String::from))
    }

    /// Served by uWSGI, as people run it.
    pub(crate) fn server(&self, processes: usize) -> Program {
        let uwsgi = self.programs.join("uwsgi").display().to_string();
        let options = format!(
            "--paste config:{{ini}} --http 127.0.0.1:{{port}} --http-keepalive --master \
             --processes {processes} --lazy-apps --need-app --die-on-term --no-orphans \
             --disable-logging --buffer-size 65535"
        );
        let words = options.split_whitespace().map(String::from);
        Program::new(std::iter::once(uwsgi).chain(words))
    }
}
