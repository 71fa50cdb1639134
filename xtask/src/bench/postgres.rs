//! A private PostgreSQL in a temporary folder, with its own settings of durability.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::packages;

/// The ids of `nobody` and `nogroup`: PostgreSQL refuses to be run by root.
const NOBODY: u32 = 65534;

pub(super) struct Postgres {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    /// Start it with an empty database.
    pub(super) fn start() -> Result<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir()?;
        let root = packages::is_root()?;
        if root {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        }
        let data = folder.path().join("data");
        let command = |name: &str| {
            let mut command = unprivileged(&programs.join(name), root);
            command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        let options = ["--auth=trust", "--username=kinto", "--encoding=UTF8", "--no-locale"];
        let status = command("initdb").args(options).arg("--pgdata").arg(&data).status()?;
        if !status.success() {
            bail!("initdb ended with {status}");
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = File::create(folder.path().join("log"))?;
        let process = command("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=200"])
            .stderr(log)
            .spawn()
            .context("cannot run postgres")?;
        let mut postgres = Self { process, port, folder };
        postgres.create_database(&programs)?;
        Ok(postgres)
    }

    pub(super) fn url(&self) -> String {
        format!("postgresql://kinto@127.0.0.1:{}/kinto", self.port)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-INT", &self.id().to_string()]).status()?;
        self.process.wait()?;
        Ok(())
    }

    /// As soon as it takes connections.
    fn create_database(&mut self, programs: &Path) -> Result<()> {
        let port = self.port.to_string();
        for _ in 0..200 {
            if let Some(status) = self.process.try_wait()? {
                let log = fs::read_to_string(self.folder.path().join("log"))?;
                bail!("postgres ended with {status}: {log}");
            }
            let status = Command::new(programs.join("createdb"))
                .args(["-h", "127.0.0.1", "-p", &port, "-U", "kinto", "kinto"])
                .stderr(Stdio::null())
                .status()?;
            if status.success() {
                return Ok(());
            }
            sleep(Duration::from_millis(100));
        }
        bail!("postgres takes no connections")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGKILL would leave its children behind.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-INT", &self.id().to_string()]).status();
            let _ = self.process.wait();
        }
    }
}

/// The folder of the newest version, installed if there is none.
fn programs() -> Result<PathBuf> {
    let newest = || {
        let folders = fs::read_dir("/usr/lib/postgresql").ok()?;
        let folders = folders.filter_map(|it| Some(it.ok()?.path().join("bin")));
        folders.filter(|it| it.join("initdb").exists()).max()
    };
    if newest().is_none() {
        packages::install("PostgreSQL", &["postgresql"])?;
    }
    newest().context("no PostgreSQL in /usr/lib/postgresql")
}

fn unprivileged(program: &Path, root: bool) -> Command {
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    command.args([&user, &group, "--clear-groups"]).arg(program);
    command
}
