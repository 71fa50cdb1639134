//! PostgreSQL with a data folder of its own.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::packages;
use crate::process::{Process, START_TIMEOUT, free_port};

/// The ids of `nobody` and `nogroup`: PostgreSQL refuses to be run by root.
const NOBODY: u32 = 65534;

/// How a server runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether it waits for the disk, so that a commit survives a power cut.
    pub fsync: bool,
    /// More lines of `postgresql.conf`.
    pub lines: Vec<String>,
}

/// A running PostgreSQL. Its user `kinto` may do everything, without a password.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    programs: Programs,
    folder: TempDir,
}

impl Postgres {
    /// Start it with an empty database `kinto`.
    pub fn start(options: &Options) -> Result<Self> {
        let programs = Programs::find()?;
        let folder = programs.make_folder()?;
        let port = free_port()?;
        programs.make_data(folder.path(), port, options)?;
        let process = programs.run(folder.path(), port)?;
        let postgres = Self { process, port, programs, folder };
        postgres.create_database("kinto")?;
        Ok(postgres)
    }

    /// Start a streaming standby of it, which answers reads. What was committed here since then
    /// arrives there.
    pub fn start_standby(&self) -> Result<Self> {
        let programs = Programs::find()?;
        let folder = programs.make_folder()?;
        let port = free_port()?;
        programs.copy_data(folder.path(), self.port, port)?;
        let process = programs.run(folder.path(), port)?;
        Ok(Self { process, port, programs, folder })
    }

    /// Make a standby a primary; resolves when it is one.
    pub fn promote(&self) -> Result<()> {
        let mut promote = self.programs.command("pg_ctl");
        promote.args(["promote", "--silent", "-D"]).arg(self.folder.path().join("data"));
        let status = promote.current_dir(self.folder.path()).status()?;
        if !status.success() {
            bail!("pg_ctl promote ended with {status}");
        }
        Ok(())
    }

    /// Let a standby answer with what it has, and nothing newer.
    pub fn pause_replay(&self) -> Result<()> {
        self.query("kinto", "SELECT pg_wal_replay_pause()")?;
        // It is only asked to, and does so after the record that it is replaying.
        self.wait_for("SELECT pg_get_wal_replay_pause_state() = 'paused'")
    }

    /// End [`pause_replay`](Self::pause_replay).
    pub fn resume_replay(&self) -> Result<()> {
        self.query("kinto", "SELECT pg_wal_replay_resume()").map(drop)
    }

    /// Wait until a condition in SQL is true in its first database.
    pub fn wait_for(&self, condition: &str) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.query("kinto", condition)? != "t" {
            if Instant::now() > deadline {
                bail!("not after {START_TIMEOUT:?}: {condition}");
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A server that all tests of this process share. It does not wait for the disk; a test
    /// creates a database of its own, and does not stop it.
    ///
    /// # Panics
    ///
    /// If the server cannot be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start(&Options::default()) {
            Ok(server) => server,
            Err(error) => panic!("cannot start PostgreSQL: {error:#}"),
        })
    }

    /// The address of its first database.
    pub fn url(&self) -> String {
        self.url_of("kinto")
    }

    /// Create an empty database, and return its address. Fails if there is one of this name.
    pub fn create_database(&self, name: &str) -> Result<String> {
        let output = Command::new(self.programs.folder.join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "kinto", name])
            .output()
            .context("cannot run createdb")?;
        if !output.status.success() {
            bail!("createdb {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(self.url_of(name))
    }

    /// Run SQL in a database; returns the rows as lines, with `|` between the columns.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let output = Command::new(self.programs.folder.join("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "kinto", "-d", database])
            .args(["-v", "ON_ERROR_STOP=1", "-qAtXc", sql])
            .output()
            .context("cannot run psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// The id of its main process, the parent of all others.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stop it; connections are closed.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// Stop it at once; the next start recovers what was committed from its log.
    pub fn stop_immediately(&mut self) -> Result<()> {
        self.process.stop_by("QUIT")
    }

    /// SIGKILL of the main process; the others end when they notice.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stop it if it runs, and start it on the same port with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.programs.run(self.folder.path(), self.port) {
                Ok(process) => {
                    self.process = process;
                    return Ok(());
                }
                // After a kill, the last child may still use the data.
                Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)),
                Err(error) => return Err(error),
            }
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgresql://kinto@127.0.0.1:{}/{database}", self.port)
    }
}

/// The programs of one version.
#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    as_root: bool,
}

impl Programs {
    /// The newest version, installed if there is none.
    fn find() -> Result<Self> {
        let folder = packages::need_where("PostgreSQL", &["postgresql"], || {
            let folders = fs::read_dir("/usr/lib/postgresql").ok()?;
            let folders = folders.filter_map(|it| Some(it.ok()?.path().join("bin")));
            folders.filter(|it| it.join("initdb").exists()).max()
        })?;
        Ok(Self { folder, as_root: packages::is_root()? })
    }

    /// A folder that the server may use.
    fn make_folder(&self) -> Result<TempDir> {
        let folder = tempfile::tempdir()?;
        if self.as_root {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        }
        Ok(folder)
    }

    /// The data of a standby of the server at `primary`.
    fn copy_data(&self, folder: &Path, primary: u16, port: u16) -> Result<()> {
        let data = folder.join("data");
        let mut copy = self.command("pg_basebackup");
        copy.args(["--host=127.0.0.1", &format!("--port={primary}"), "--username=kinto"]);
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"]);
        let status = copy.arg(&data).current_dir(folder).stdin(Stdio::null()).status()?;
        if !status.success() {
            bail!("pg_basebackup ended with {status}");
        }
        // Lines of the primary stand above, and the last one counts.
        let mut file = File::options().append(true).open(data.join("postgresql.conf"))?;
        writeln!(file, "port = {port}")?;
        writeln!(file, "unix_socket_directories = '{}'", folder.display())?;
        writeln!(file, "hot_standby = on")?;
        writeln!(file, "synchronous_standby_names = ''")?;
        Ok(())
    }

    fn make_data(&self, folder: &Path, port: u16, options: &Options) -> Result<()> {
        let data = folder.join("data");
        let mut initdb = self.command("initdb");
        initdb.args(["--auth=trust", "--username=kinto", "--encoding=UTF8", "--locale=C.UTF-8"]);
        if !options.fsync {
            initdb.arg("--no-sync");
        }
        initdb.arg("--pgdata").arg(&data).current_dir(folder);
        let status = initdb.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if !status.success() {
            bail!("initdb ended with {status}");
        }
        let fsync = if options.fsync { "on" } else { "off" };
        let mut file = File::options().append(true).open(data.join("postgresql.conf"))?;
        writeln!(file, "port = {port}")?;
        writeln!(file, "listen_addresses = '127.0.0.1'")?;
        writeln!(file, "unix_socket_directories = '{}'", folder.display())?;
        writeln!(file, "max_connections = 200")?;
        writeln!(file, "fsync = {fsync}")?;
        for line in &options.lines {
            writeln!(file, "{line}")?;
        }
        Ok(())
    }

    /// Resolves when it takes connections.
    fn run(&self, folder: &Path, port: u16) -> Result<Process> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(folder.join("data"));
        // SIGINT closes connections; SIGKILL would leave its children behind.
        let mut process = Process::start(&mut command, folder, "INT")?;
        process.wait_until(folder, || {
            let mut ask = Command::new(self.folder.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            ask.status().is_ok_and(|it| it.success())
        })?;
        Ok(process)
    }

    fn command(&self, name: &str) -> Command {
        let program = self.folder.join(name);
        if !self.as_root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
        command.args([&user, &group, "--clear-groups"]).arg(program);
        command
    }
}
