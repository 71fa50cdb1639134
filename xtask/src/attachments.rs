//! `cargo xtask attachments`: the client's files of records, with the genuine kinto-attachment.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use cumulo_client::attachment::{File, Source};
use cumulo_client::blocking::{Attachment, Client, Collection, Io};
use cumulo_client::{Basic, Error, Permissions};
use cumulo_e2e::{Program, Server, Storage};
use serde_json::json;

use crate::packages;
use crate::project;
use crate::steps::Tally;

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Only scenarios whose names contain this
    #[arg(long, value_name = "TEXT", default_value_t)]
    only: String,
}

/// How large the large file is, and how much more memory it may take to send and get it.
const LARGE: u64 = 64 << 20;
const MOST_MEMORY: u64 = 16 << 20;

type Scenario = fn(&Place) -> Result<()>;

const SCENARIOS: [(&str, Scenario); 8] = [
    ("upload creates the record", creates),
    ("sources of every kind", sources),
    ("upload replaces the file", replaces),
    ("download into a folder", downloads),
    ("download goes on", goes_on),
    ("large files take no memory", large),
    ("delete", deletes),
    ("refusals", refusals),
];

/// Where a scenario happens.
struct Place {
    client: Client,
    collection: Collection,
    folder: PathBuf,
}

impl Place {
    fn attachment(&self, record: &str) -> Attachment {
        self.collection.record(record).attachment()
    }

    /// What the record tells about its file.
    fn file(&self, record: &str) -> Result<File> {
        let mut record = self.collection.record(record).get().send()?;
        Ok(serde_json::from_value(record.data["attachment"].take())?)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path())?;
    let mut tally = Tally::default();
    for (number, (name, scenario)) in SCENARIOS.iter().enumerate() {
        if !name.contains(&arguments.only) {
            continue;
        }
        let begin = Instant::now();
        let result = place(&server, folder.path(), number).and_then(|place| scenario(&place));
        let seconds = begin.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                println!("ok      {name}, {seconds:.1} s");
                tally.passed += 1;
            }
            Err(error) => {
                println!("FAILED  {name}, {seconds:.1} s: {error:#}");
                tally.failed += 1;
            }
        }
    }
    if tally.failed > 0 {
        println!("the end of the server's log:\n{}", server.log_tail());
    }
    Ok(tally)
}

/// Kinto, with files that it serves itself.
fn start(folder: &Path) -> Result<Server> {
    let own = project::root().join("tests/attachments");
    let kinto = packages::python(&own.join("requirements.txt"))?.join("kinto");
    let kinto = kinto.display().to_string();
    let program =
        Program::new([&kinto, "start", "--ini", "{ini}", "--port", "{port}"].map(String::from));
    let path = format!("PYTHONPATH={}", own.display());
    let files = folder.join("files");
    fs::create_dir(&files)?;
    let files = files.display().to_string();
    let settings = [
        ("kinto.includes", "kinto.plugins.default_bucket kinto_attachment files_view"),
        ("kinto.attachment.base_path", files.as_str()),
        ("kinto.attachment.extra.base_url", "files/"),
        ("kinto.attachment.extensions", "any"),
    ];
    // No byte code is written into our folder.
    let program = program.started_by(&["env", "PYTHONDONTWRITEBYTECODE=1", &path]);
    Server::start(&program, folder, &Storage::Memory, &settings)
}

fn place(server: &Server, folder: &Path, number: usize) -> Result<Place> {
    let folder = folder.join(format!("scenario-{number}"));
    fs::create_dir(&folder)?;
    let client =
        Client::builder(&server.url()).auth(Basic::new("ann", "secret")).build_blocking()?;
    let collection = client.collection("default", format!("scenario-{number}"));
    collection.create().send()?;
    Ok(Place { client, collection, folder })
}

fn creates(place: &Place) -> Result<()> {
    let path = place.folder.join("é \"1\".json");
    fs::write(&path, "{}")?;
    let uploaded = place
        .attachment("r")
        .upload(path)
        .data(json!({"title": "A title"}))
        .permissions(Permissions::new().grant("read", "system.Everyone"))
        .send()?;
    ensure!(uploaded.created, "the record was there");
    let record = place.collection.record("r").get().send()?;
    ensure!(record.last_modified == uploaded.last_modified, "another timestamp");
    ensure!(record.data["title"] == "A title", "no title: {}", record.data);
    let permissions = record.permissions.context("no permissions")?;
    ensure!(permissions.has("read", "system.Everyone"), "no permission: {permissions:?}");
    let file = place.file("r")?;
    ensure!(file == uploaded.file, "another file: {file:?}");
    ensure!(file.filename.contains('é') && file.mimetype == "application/json", "{file:?}");
    Ok(())
}

fn sources(place: &Place) -> Result<()> {
    let content = b"some content".repeat(20_000);
    let path = place.folder.join("a.bin");
    fs::write(&path, &content)?;
    let reader = || Source::reader(Io(io::Cursor::new(content.clone())));
    let sources = [
        Source::file(path),
        Source::bytes(content.clone()),
        reader().length(content.len() as u64),
        reader(),
    ];
    for (number, source) in sources.into_iter().enumerate() {
        let attachment = place.attachment(&format!("r{number}"));
        attachment.upload(source).file_name("a.bin").send()?;
        ensure!(attachment.download().to_bytes()? == content, "source {number} became another");
    }
    Ok(())
}

fn replaces(place: &Place) -> Result<()> {
    let attachment = place.attachment("r");
    let first = attachment.upload(b"one".to_vec()).file_name("a.txt").send()?;
    let second = attachment.upload(b"two".to_vec()).file_name("b.txt").send()?;
    ensure!(!second.created && second.last_modified > first.last_modified, "{second:?}");
    ensure!(place.file("r")?.filename == "b.txt", "the first is still there");
    ensure!(attachment.download().to_bytes()? == b"two", "the first is still there");
    Ok(())
}

fn downloads(place: &Place) -> Result<()> {
    let attachment = place.attachment("r");
    attachment.upload(b"one".to_vec()).file_name("a.txt").send()?;
    let path = attachment.download().save_metadata().to_path(&place.folder)?;
    ensure!(path == place.folder.join("a.txt"), "it is at {}", path.display());
    ensure!(fs::read(&path)? == b"one", "another content");
    let metadata = fs::read_to_string(place.folder.join("a.txt.meta.json"))?;
    ensure!(metadata.contains("\"filename\": \"a.txt\""), "{metadata}");
    attachment.upload(b"two".to_vec()).file_name("a.txt").send()?;
    attachment.download().to_path(&path)?;
    ensure!(fs::read(&path)? == b"two", "it was not replaced");
    Ok(())
}

fn goes_on(place: &Place) -> Result<()> {
    let content = b"0123456789".repeat(1000);
    let attachment = place.attachment("r");
    let hash = attachment.upload(content.clone()).file_name("a.txt").send()?.file.hash;
    let part = place.folder.join(format!(".a.txt.{}.part", &hash[..16]));
    fs::write(&part, &content[..4321])?;
    let first = std::sync::Arc::new(std::sync::Mutex::new(None));
    let told = first.clone();
    let progress = move |done, _| {
        told.lock().expect("nobody panics").get_or_insert(done);
    };
    let path = attachment.download().on_progress(progress).to_path(&place.folder)?;
    ensure!(*first.lock().expect("nobody panics") == Some(4321), "it began anew");
    ensure!(fs::read(path)? == content && !part.exists(), "another content");
    Ok(())
}

fn large(place: &Place) -> Result<()> {
    let before = peak_memory()?;
    let attachment = place.attachment("r");
    let source = Source::reader(Io(io::repeat(b'x').take(LARGE))).length(LARGE);
    let uploaded = attachment.upload(source).file_name("large.bin").send()?;
    ensure!(uploaded.file.size == LARGE, "{:?}", uploaded.file);
    let counted = attachment.download().to_writer(Io(Count(0)))?;
    ensure!(counted.0.0 == LARGE, "{} bytes", counted.0.0);
    let more = peak_memory()?.saturating_sub(before);
    ensure!(more <= MOST_MEMORY, "it took {} MiB of memory", more >> 20);
    Ok(())
}

/// A writer that counts.
#[derive(Debug)]
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The most memory that this process had so far, in bytes.
fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

fn deletes(place: &Place) -> Result<()> {
    place.attachment("r").upload(b"one".to_vec()).file_name("a.txt").send()?;
    place.attachment("r").delete().send()?;
    let record = place.collection.record("r").get().send()?;
    ensure!(record.data["attachment"].is_null(), "{}", record.data);
    match place.attachment("r").download().to_bytes() {
        Err(Error::Missing(_)) => {}
        other => bail!("{other:?}"),
    }
    // In a batch, too.
    place.attachment("r").upload(b"one".to_vec()).file_name("a.txt").send()?;
    let batch = place.client.batch();
    let collection = batch.collection("default", place.collection.id());
    let deleted = collection.record("r").attachment().delete().send();
    let results = batch.send()?;
    ensure!(results.get(&deleted)?.0 > 0, "no timestamp");
    ensure!(place.file("r").is_err(), "it is still there");
    Ok(())
}

fn refusals(place: &Place) -> Result<()> {
    let upload = |client: &Client| {
        let attachment = client.collection("somebody", "else").record("r").attachment();
        attachment.upload(b"one".to_vec()).file_name("a.txt").send()
    };
    let nobody = place.client.to_builder().shared_auth(None).build_blocking()?;
    match upload(&nobody) {
        Err(Error::Unauthorized(_)) => {}
        other => bail!("nobody: {other:?}"),
    }
    match upload(&place.client) {
        Err(Error::Forbidden(_)) => {}
        other => bail!("another bucket: {other:?}"),
    }
    let attachment = place.attachment("r");
    match attachment.upload(b"one".to_vec()).file_name("a.txt").data(json!({"id": "other"})).send()
    {
        Err(Error::Invalid(_)) => Ok(()),
        other => bail!("another id: {other:?}"),
    }
}
