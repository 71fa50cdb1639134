//! Uploads very many records, reads them all back, and tells what that took.
//!
//! ```text
//! cargo run --release -p cumulo-client --example volume -- http://localhost:8888/v1 1000000 upload
//! ```
//!
//! The user `volume` and the bucket `volume` are used; the collection is new each time. With `single`
//! in place of `upload`, each record is created with a request of its own, one after the other.
//! Prints one line of JSON with wall and processor seconds, and the peak of memory. Linux only.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{error::Error, fs, time::Instant};

use cumulo_client::{Async, Basic, Client, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Records = Resource<Async, Record>;
type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (server, count, mode) = match arguments.as_slice() {
        [_, server, count, mode] => (server, count.parse()?, mode.as_str()),
        _ => return Err("usage: volume SERVER COUNT upload|single".into()),
    };
    let client = Client::builder(server).auth(Basic::new("volume", "volume")).build()?;
    client.bucket("volume").create().if_not_exists().send().await?;
    let collection = client.bucket("volume").collections().create(json!({})).send().await?;
    let records = client.collection("volume", &collection.id).records().of();

    let create = Meter::start()?;
    match mode {
        "upload" => upload(&records, count).await?,
        "single" => create_each(&records, count).await?,
        _ => return Err(format!("'{mode}' is neither 'upload' nor 'single'").into()),
    }
    let create = create.stop()?;
    let list = Meter::start()?;
    read_back(&records, count).await?;
    let list = list.stop()?;
    println!("{}", json!({"create": create, "list": list, "peak_kib": peak_memory()?}));
    Ok(())
}

/// A record of about 200 bytes.
#[derive(Serialize, Deserialize)]
struct Record {
    number: usize,
    title: String,
    done: bool,
    tag: String,
    text: String,
}

impl Record {
    fn new(number: usize) -> Self {
        Self {
            number,
            title: "Buy bread".to_owned(),
            done: false,
            tag: format!("tag-{}", number % 100),
            text: "x".repeat(120),
        }
    }
}

async fn upload(records: &Records, count: usize) -> Result<()> {
    let summary = records.upload((0..count).map(Record::new)).send().await?;
    match summary.failures.into_iter().next() {
        Some(failure) => Err(failure.error.into()),
        None => Ok(()),
    }
}

async fn create_each(records: &Records, count: usize) -> Result<()> {
    for number in 0..count {
        records.create(Record::new(number)).send().await?;
    }
    Ok(())
}

/// Reads all records, and checks that each is there exactly once.
async fn read_back(records: &Records, count: usize) -> Result<()> {
    use futures_util::TryStreamExt as _;

    let mut seen = vec![false; count];
    let mut rows = records.list().rows();
    while let Some(object) = rows.try_next().await? {
        let number = object.data.number;
        let seen = seen.get_mut(number).ok_or("a record that was not sent")?;
        if std::mem::replace(seen, true) {
            return Err(format!("number {number} is there twice").into());
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(missing) => Err(format!("number {missing} is missing").into()),
        None => Ok(()),
    }
}

/// Wall and processor time of this process since a moment.
struct Meter {
    begun: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Result<Self> {
        Ok(Self { begun: Instant::now(), cpu: cpu_seconds()? })
    }

    fn stop(self) -> Result<Value> {
        let wall = self.begun.elapsed().as_secs_f64();
        Ok(json!({"wall": wall, "cpu": cpu_seconds()? - self.cpu}))
    }
}

/// User and system time. Linux counts it in hundredths of a second.
fn cpu_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').ok_or("no name")?;
    let ticks: Result<Vec<f64>, _> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

/// The most memory that was resident, in KiB.
fn peak_memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
