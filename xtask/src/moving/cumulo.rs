//! Runs `cumulo export` and `cumulo import`, and watches what they use.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cumulo_e2e::Storage;
use cumulo_e2e::server::write_ini;
use serde_json::Value;

/// The program.
pub(super) struct Cumulo(pub(super) PathBuf);

/// What a command has used.
pub(super) struct Used {
    pub(super) seconds: f64,
    pub(super) peak_mib: u64,
}

/// A command that runs; killed when it goes out of scope.
pub(super) struct Running {
    child: Child,
    start: Instant,
}

impl Cumulo {
    /// Writes the settings of a storage, and brings that to the present schema.
    pub(super) fn settings(&self, folder: &Path, storage: &Storage) -> Result<PathBuf> {
        let ini = folder.join("moving.ini");
        write_ini(&ini, 0, storage, &[])?;
        self.run(&ini, &["migrate"])?.finish()?;
        Ok(ini)
    }

    pub(super) fn import(&self, ini: &Path, input: &Path) -> Result<Running> {
        let input = input.display().to_string();
        self.run(ini, &["import", "--input", &input])
    }

    pub(super) fn export(&self, ini: &Path, output: &Path) -> Result<Running> {
        let output = output.display().to_string();
        self.run(ini, &["export", "--output", &output])
    }

    pub(super) fn run(&self, ini: &Path, words: &[&str]) -> Result<Running> {
        let mut command = Command::new(&self.0);
        command.args(words).arg("--ini").arg(ini).arg("--quiet").stdin(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Running { child, start: Instant::now() })
    }
}

impl Running {
    /// Waits for its success.
    pub(super) fn finish(mut self) -> Result<Used> {
        let status = format!("/proc/{}/status", self.child.id());
        let mut peak_mib = 0;
        loop {
            if let Ok(text) = fs::read_to_string(&status) {
                peak_mib = peak_mib.max(peak(&text));
            }
            if let Some(ended) = self.child.try_wait()? {
                if !ended.success() {
                    bail!("the command ended with {ended}");
                }
                return Ok(Used { seconds: self.start.elapsed().as_secs_f64(), peak_mib });
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, unless it has ended in time, which must be a success.
    pub(super) fn kill_after(mut self, pause: Duration) -> Result<bool> {
        sleep(pause);
        match self.child.try_wait()? {
            Some(ended) if ended.success() => Ok(false),
            Some(ended) => bail!("the command ended with {ended}"),
            None => {
                self.child.kill()?;
                self.child.wait()?;
                Ok(true)
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The largest resident set so far, in MiB.
fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// The last line of an export.
pub(super) fn trailer(path: &Path) -> Result<Value> {
    let mut file = fs::File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(2000)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    let line = end.trim_end().lines().last().context("an empty export")?;
    Ok(serde_json::from_str::<Value>(line)?["trailer"].take())
}
