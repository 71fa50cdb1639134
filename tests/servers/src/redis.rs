//! Redis without persistence.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::packages;
use crate::process::{Process, answers, free_port};

/// A running Redis.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    password: Option<String>,
    folder: TempDir,
}

impl Redis {
    /// Start it empty, and open to everybody on this machine.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// Start it empty, with a password.
    pub fn with_password(password: &str) -> Result<Self> {
        Self::start_with(Some(password.to_owned()))
    }

    fn start_with(password: Option<String>) -> Result<Self> {
        packages::need("redis-server", &["redis-server"])?;
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        let process = run(port, password.as_deref(), &folder)?;
        Ok(Self { process, port, password, folder })
    }

    /// `redis://127.0.0.1:PORT/0`, with the password if it has one.
    pub fn url(&self) -> String {
        let user = self.password.as_ref().map_or(String::new(), |it| format!(":{it}@"));
        format!("redis://{user}127.0.0.1:{}/0", self.port)
    }

    /// The elements of a list, from its head to its tail.
    pub fn list(&self, key: &str) -> Result<Vec<String>> {
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?);
        let length = key.len();
        let command =
            format!("*4\r\n$6\r\nLRANGE\r\n${length}\r\n{key}\r\n$1\r\n0\r\n$2\r\n-1\r\n");
        stream.get_mut().write_all(command.as_bytes())?;
        let count = number(&mut stream, '*')?;
        (0..count).map(|_| text(&mut stream)).collect()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGTERM.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stop it if it runs, and start it on the same port, empty.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.process = run(self.port, self.password.as_deref(), &self.folder)?;
        Ok(())
    }
}

fn run(port: u16, password: Option<&str>, folder: &TempDir) -> Result<Process> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no"]);
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    let mut process = Process::start(&mut command, folder.path(), "TERM")?;
    let answer = if password.is_some() { "-NOAUTH" } else { "+PONG" };
    process.wait_until(folder.path(), || answers(port, "PING\r\n", answer))?;
    Ok(process)
}

/// A line of the protocol: a sign and a number.
fn number(stream: &mut impl BufRead, sign: char) -> Result<usize> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let number = line.strip_prefix(sign).map(str::trim).and_then(|it| it.parse().ok());
    number.with_context(|| format!("Redis said {line:?}"))
}

/// A text of the protocol, after its length.
fn text(stream: &mut impl BufRead) -> Result<String> {
    let length = number(stream, '$')?;
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(String::from_utf8(bytes)?)
}
