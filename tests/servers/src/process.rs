//! A server process that cannot outlive us.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take to answer.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads until the process that has started it ends, in whatever way. Then it stops the server,
/// and removes its folder: values of a `static` are never dropped.
const GUARD: &str = r#"
read -r line
kill -s "$1" "$2"
for attempt in $(seq 200); do kill -0 "$2" || break; sleep 0.05; done
rm -rf "$3"
"#;

#[derive(Debug)]
pub(crate) struct Process {
    server: Child,
    guard: Child,
    stop_signal: &'static str,
}

impl Process {
    /// Start a server with its log in `folder`, which is removed if we end without stopping it.
    pub(crate) fn start(
        command: &mut Command,
        folder: &Path,
        stop_signal: &'static str,
    ) -> Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("log"))?;
        let server = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard", stop_signal, &server.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run sh")?;
        Ok(Self { server, guard, stop_signal })
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    /// Wait until `answers`; fails if the server ends before.
    pub(crate) fn wait_until(&mut self, folder: &Path, answers: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.server.try_wait()? {
                bail!("the server ended with {status}: {}", log(folder));
            }
            if answers() {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        bail!("no answer after {START_TIMEOUT:?}: {}", log(folder))
    }

    /// Stop it as it wants to be stopped.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stop_by(self.stop_signal)
    }

    /// Stop it by a signal.
    pub(crate) fn stop_by(&mut self, signal: &str) -> Result<()> {
        self.dismiss_guard()?;
        if self.server.try_wait()?.is_some() {
            return Ok(());
        }
        let id = self.id().to_string();
        Command::new("kill").args(["-s", signal, &id]).status()?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if self.server.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(5));
        }
        bail!("process {id} did not stop {STOP_TIMEOUT:?} after SIG{signal}")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.dismiss_guard()?;
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    fn dismiss_guard(&mut self) -> Result<()> {
        self.guard.kill()?;
        self.guard.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // Fails only when it has ended already.
            let _ = self.kill();
        }
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether the server of a line protocol answers a request with a line that starts so.
pub(crate) fn answers(port: u16, request: &str, start: &str) -> bool {
    let ask = || {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        connection.write_all(request.as_bytes())?;
        let mut answer = vec![0; start.len()];
        connection.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer == start.as_bytes())
}
