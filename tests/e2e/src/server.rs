//! A server process on a free port, in a folder of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::Connection;

/// How long a server may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take to stop on SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The command line of a server: words with the placeholders `{ini}` and `{port}`.
#[derive(Debug, Clone)]
pub struct Program {
    words: Vec<String>,
    before: Vec<String>,
}

impl Program {
    /// A command line, with placeholders.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self { words: words.into_iter().collect(), before: Vec::new() }
    }

    /// Our program, by the path of its executable.
    pub fn cumulo(executable: &Path) -> Self {
        let words = ["start", "--ini", "{ini}", "--port", "{port}"].map(String::from);
        let executable = executable.display().to_string();
        Self::new([executable].into_iter().chain(words))
    }

    /// Any server: its command line, or the path of an executable of ours.
    pub fn parse(text: &str) -> Self {
        if text.contains("{ini}") {
            Self::new(text.split_whitespace().map(String::from))
        } else {
            Self::cumulo(Path::new(text))
        }
    }

    /// The same server, started by another command that gets its command line.
    #[must_use]
    pub fn started_by(&self, words: &[&str]) -> Self {
        let before = words.iter().map(ToString::to_string).collect();
        Self { words: self.words.clone(), before }
    }

    fn command(&self, ini: &Path, port: u16) -> Command {
        let filled = self.words.iter().map(|word| {
            word.replace("{ini}", &ini.display().to_string()).replace("{port}", &port.to_string())
        });
        let mut words = self.before.iter().cloned().chain(filled);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

/// Where the server keeps its objects.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In memory.
    Memory,
    /// In one file.
    Sqlite(PathBuf),
    /// In the database of this address.
    Postgresql(String),
}

impl Storage {
    fn settings(&self) -> Vec<(String, String)> {
        let (name, url) = match self {
            Self::Memory => ("memory", None),
            Self::Sqlite(file) => ("sqlite", Some(format!("sqlite:///{}", file.display()))),
            Self::Postgresql(url) => ("postgresql", Some(url.clone())),
        };
        let mut settings = Vec::new();
        for kind in ["storage", "cache", "permission"] {
            settings.push((format!("kinto.{kind}_backend"), format!("kinto.core.{kind}.{name}")));
            // A cache in SQLite has a file of its own.
            if kind != "cache" || name != "sqlite" {
                settings.extend(url.clone().map(|url| (format!("kinto.{kind}_url"), url)));
            }
        }
        settings
    }
}

/// A running server, killed when it goes out of scope.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has written on its standard outputs.
    pub log: PathBuf,
    process: Child,
}

impl Server {
    /// Start it on a free port; `folder` gets its INI file and its log. Resolves when it answers.
    pub fn start(
        program: &Program,
        folder: &Path,
        storage: &Storage,
        more_settings: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_on(free_port()?, program, folder, storage, more_settings)
    }

    /// The same, on this port.
    pub fn start_on(
        port: u16,
        program: &Program,
        folder: &Path,
        storage: &Storage,
        more_settings: &[(&str, &str)],
    ) -> Result<Self> {
        let ini = folder.join("server.ini");
        write_ini(&ini, port, storage, more_settings)?;
        let log = folder.join("server.log");
        let output = File::options().create(true).append(true).open(&log)?;
        let process = program
            .command(&ini, port)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {program:?}"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { address, log, process };
        server.wait_ready()?;
        Ok(server)
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A new connection.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// SIGTERM; fails if the server does not stop in time.
    pub fn stop(mut self) -> Result<()> {
        let id = self.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().context("cannot run kill")?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(5));
        }
        bail!("the server did not stop {STOP_TIMEOUT:?} after SIGTERM")
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(3000)..]).into_owned()
    }

    /// Fails if the process has ended.
    pub fn check_running(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server has ended ({status}): {}", self.log_tail()),
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            self.check_running()?;
            if self.connect().and_then(|mut it| it.get("/v1/")).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        bail!("no answer after {START_TIMEOUT:?}: {}", self.log_tail())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// SQLite's own check of a file that no server uses.
pub fn check_file(file: &Path) -> Result<()> {
    let script = "import sqlite3, sys; \
        print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())";
    let output = Command::new("python3").args(["-c", script]).arg(file).output()?;
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if answer != "[('ok',)]" {
        bail!("{} is damaged: {answer}{}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The settings of a server, with basic authentication and a few more.
pub fn write_ini(file: &Path, port: u16, storage: &Storage, more: &[(&str, &str)]) -> Result<()> {
    let mut settings: BTreeMap<String, String> = [
        ("use", "egg:kinto"),
        ("kinto.userid_hmac_secret", "b4c96a8692291d88fe5a97dd91846eb4"),
        ("kinto.includes", "kinto.plugins.default_bucket kinto.plugins.flush"),
        ("multiauth.policies", "basicauth"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    settings.extend(storage.settings());
    settings.extend(more.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
    let mut text =
        format!("[server:main]\nuse = egg:waitress#main\nhost = 127.0.0.1\nport = {port}\n");
    text += "\n[app:main]\n";
    for (key, value) in settings {
        text.extend([&key, " = ", &value, "\n"]);
    }
    Ok(fs::write(file, text)?)
}
