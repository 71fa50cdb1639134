//! The genuine Kinto, in its pinned version.

use std::path::PathBuf;

use anyhow::Result;
use cumulo_e2e::Program;

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

    /// Served by one process, which can keep everything in memory.
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
