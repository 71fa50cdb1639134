//! A full disk and a read-only file: the server says 503, keeps what it has, and goes on when it
//! can write again.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::{Connection, Response};
use crate::{Program, Server, Storage, check_file};

const RECORDS: &str = "/v1/buckets/disk/collections/files/records";
/// A disk that is full after this many batches is not full.
const MAX_BATCHES: usize = 200;
const BATCH_SIZE: usize = 25;
/// How long the server may take to notice that there is space again.
const RECOVERY: Duration = Duration::from_secs(30);
/// The ids of `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

/// What makes the disk full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Files of the server's process cannot grow any more (`RLIMIT_FSIZE`); any user can do that.
    FileSize,
    /// A small file system in memory; only root can do that.
    FileSystem,
}

/// Write until the disk is full, then make space; an error is a broken promise of the server.
pub fn fill(program: &Program, folder: &Path, limit: Limit) -> Result<()> {
    let disk = Disk::new(folder, limit)?;
    let storage = Storage::Sqlite(disk.folder.join("cumulo.sqlite"));
    let server = Server::start(&disk.limited(program), folder, &storage, &[])?;
    let mut connection = server.connect()?;
    set_up(&mut connection)?;

    let batches = write_until_refused(&mut connection)?;
    check_content(&mut connection, batches).context("while the disk is full")?;
    refuse_or_keep(&mut connection).context("while the disk is full")?;

    disk.make_space(&server)?;
    wait_for_recovery(&mut connection).context("after there was space again")?;
    write_batch(&mut connection, batches)?.succeeded()?;
    check_content(&mut connection, batches + 1).context("after there was space again")?;

    drop(connection);
    server.kill()?;
    let server = Server::start(program, folder, &storage, &[])?;
    check_content(&mut server.connect()?, batches + 1).context("after a restart")?;
    server.stop()?;
    let Storage::Sqlite(file) = &storage else { unreachable!("it is set above") };
    check_file(file)
}

/// Start on a file that cannot be written; an error is a broken promise of the server.
pub fn read_only(executable: &Path, folder: &Path, as_nobody: bool) -> Result<()> {
    let program = unprivileged(executable, folder, as_nobody)?;
    let file = folder.join("cumulo.sqlite");
    let storage = Storage::Sqlite(file.clone());

    let server = Server::start(&program, folder, &storage, &[])?;
    let mut connection = server.connect()?;
    set_up(&mut connection)?;
    write_batch(&mut connection, 0)?.succeeded()?;
    drop(connection);
    server.stop()?;

    fs::set_permissions(&file, Permissions::from_mode(0o444))?;
    let server = Server::start(&program, folder, &storage, &[]).context("on a read-only file")?;
    let mut connection = server.connect()?;
    check_content(&mut connection, 1).context("on a read-only file")?;
    check_unavailable(&write_batch(&mut connection, 1)?)?;
    for (method, path) in [("PUT", "one"), ("PATCH", "0-0"), ("DELETE", "0-0")] {
        let path = format!("{RECORDS}/{path}");
        check_unavailable(&connection.json(method, &path, Some(&json!({"data": {"n": 1}})))?)?;
    }
    check_content(&mut connection, 1).context("on a read-only file")?;
    drop(connection);
    server.stop()?;

    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    let server = Server::start(&program, folder, &storage, &[])?;
    let mut connection = server.connect()?;
    write_batch(&mut connection, 1)?.succeeded()?;
    check_content(&mut connection, 2).context("on a file that is writable again")?;
    server.stop()?;
    check_file(&file)
}

/// Permissions do not stop root, so the server is run by another user, from where that one may.
fn unprivileged(executable: &Path, folder: &Path, as_nobody: bool) -> Result<Program> {
    if !as_nobody {
        return Ok(Program::cumulo(executable));
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    chown(folder, Some(NOBODY), Some(NOBODY))?;
    let copy = folder.join("program");
    fs::copy(executable, &copy)?;
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    Ok(Program::cumulo(&copy).started_by(&["setpriv", &user, &group, "--clear-groups"]))
}

fn set_up(connection: &mut Connection) -> Result<()> {
    connection.json("PUT", "/v1/buckets/disk", None)?.succeeded()?;
    connection.json("PUT", "/v1/buckets/disk/collections/files", None)?.succeeded()?;
    Ok(())
}

fn content(id: &str) -> Value {
    json!({"name": id, "text": id.repeat(10_000 / id.len())})
}

fn write_batch(connection: &mut Connection, number: usize) -> Result<Response> {
    let requests = (0..BATCH_SIZE).map(|index| {
        let id = format!("{number}-{index}");
        let path = format!("{RECORDS}/{id}");
        json!({"method": "PUT", "path": path, "body": {"data": content(&id)}})
    });
    let body = json!({"requests": requests.collect::<Vec<_>>()});
    connection.json("POST", "/v1/batch", Some(&body))
}

/// Returns how many batches fit.
fn write_until_refused(connection: &mut Connection) -> Result<usize> {
    for number in 0..MAX_BATCHES {
        let response = write_batch(connection, number)?;
        if response.status != 200 {
            check_unavailable(&response)?;
            ensure!(number > 0, "not even one batch fits");
            return Ok(number);
        }
    }
    bail!("{MAX_BATCHES} batches of {BATCH_SIZE} records fit on a small disk")
}

/// Small writes may still fit: then they must stay, otherwise they are refused.
fn refuse_or_keep(connection: &mut Connection) -> Result<()> {
    let path = format!("{RECORDS}/small");
    for _ in 0..5 {
        let written = connection.json("PUT", &path, Some(&json!({"data": {}})))?;
        let read = connection.json("GET", &path, None)?;
        if written.status == 201 || written.status == 200 {
            ensure!(read.status == 200, "an acknowledged write cannot be read: {}", read.text());
            connection.json("DELETE", &path, None)?;
        } else {
            check_unavailable(&written)?;
        }
    }
    Ok(())
}

fn wait_for_recovery(connection: &mut Connection) -> Result<()> {
    let path = format!("{RECORDS}/small");
    let deadline = Instant::now() + RECOVERY;
    loop {
        let response = connection.json("PUT", &path, Some(&json!({"data": {}})))?;
        if response.status < 300 {
            connection.json("DELETE", &path, None)?.succeeded()?;
            return Ok(());
        }
        check_unavailable(&response)?;
        ensure!(Instant::now() < deadline, "writes are still refused: {}", response.text());
        sleep(Duration::from_millis(100));
    }
}

/// All records of these batches, exactly, and no others (but for the small one).
fn check_content(connection: &mut Connection, batches: usize) -> Result<()> {
    let mut found = 0;
    let mut next = Some(format!("{RECORDS}?_limit=100&exclude_id=small"));
    while let Some(path) = next {
        let page = connection.json("GET", &path, None)?.succeeded()?;
        let page_json = page.json()?;
        for record in page_json["data"].as_array().context("no list of data")? {
            let id = record["id"].as_str().context("no id")?;
            let number: usize = id.split('-').next().unwrap_or_default().parse()?;
            ensure!(number < batches, "{id} belongs to a refused batch");
            let expected = content(id);
            ensure!(record["text"] == expected["text"], "{id} is damaged");
            found += 1;
        }
        next = page.header("next-page").map(|url| url[url.find("/v1").unwrap_or(0)..].to_owned());
    }
    ensure!(found == batches * BATCH_SIZE, "{found} records of {batches} batches are there");
    Ok(())
}

/// What a server answers that cannot write.
fn check_unavailable(response: &Response) -> Result<()> {
    let text = response.text();
    ensure!(response.status == 503, "503 is due, not {}: {text}", response.status);
    let wait = response.header("retry-after").and_then(|value| value.parse::<u32>().ok());
    ensure!(wait.is_some(), "a 503 without Retry-After: {:?}", response.headers);
    let body = response.json()?;
    ensure!(body["code"] == 503 && body["errno"] == 201, "503 with another body: {text}");
    Ok(())
}

/// A small disk, and a way to make it larger.
struct Disk {
    folder: PathBuf,
    limit: Limit,
}

impl Disk {
    fn new(folder: &Path, limit: Limit) -> Result<Self> {
        let folder = folder.join("disk");
        fs::create_dir_all(&folder)?;
        if limit == Limit::FileSystem {
            let options = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
            succeed(Command::new("mount").args(options).arg(&folder))?;
        }
        Ok(Self { folder, limit })
    }

    /// The shell counts blocks of 512 bytes; the signal would end the server.
    fn limited(&self, program: &Program) -> Program {
        match self.limit {
            Limit::FileSystem => program.clone(),
            Limit::FileSize => {
                let script = "ulimit -S -f 6000; trap '' XFSZ; exec \"$@\"";
                program.started_by(&["sh", "-c", script, "sh"])
            }
        }
    }

    fn make_space(&self, server: &Server) -> Result<()> {
        match self.limit {
            Limit::FileSize => {
                let id = server.id().to_string();
                succeed(Command::new("prlimit").args(["--fsize=unlimited", "--pid", &id]))
            }
            Limit::FileSystem => {
                let options = ["-o", "remount,size=200m"];
                succeed(Command::new("mount").args(options).arg(&self.folder))
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.limit == Limit::FileSystem {
            // Lazily, since after a failed check the server still has its files open.
            let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
        }
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", message.trim());
    Ok(())
}

/// Whether this process may mount file systems here.
pub fn can_mount() -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
    let mounted = succeed(Command::new("mount").args(options).arg(folder.path())).is_ok();
    if mounted {
        succeed(Command::new("umount").arg(folder.path()))?;
    }
    Ok(mounted)
}
