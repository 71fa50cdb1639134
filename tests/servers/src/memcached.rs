//! memcached with its default limits.

use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::packages;
use crate::process::{Process, answers, free_port};

/// A running memcached.
#[derive(Debug)]
pub struct Memcached {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Memcached {
    /// Start it empty.
    pub fn start() -> Result<Self> {
        packages::need("memcached", &["memcached"])?;
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        Ok(Self { process: run(port, &folder)?, port, folder })
    }

    /// `127.0.0.1:PORT`, as `cache_hosts` has it.
    pub fn url(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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
        self.process = run(self.port, &self.folder)?;
        Ok(())
    }
}

fn run(port: u16, folder: &TempDir) -> Result<Process> {
    let mut command = Command::new("memcached");
    command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0"]);
    if packages::is_root()? {
        command.args(["-u", "nobody"]);
    }
    let mut process = Process::start(&mut command, folder.path(), "TERM")?;
    process.wait_until(folder.path(), || answers(port, "version\r\n", "VERSION "))?;
    Ok(process)
}
