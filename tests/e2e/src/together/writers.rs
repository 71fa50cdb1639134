//! Both write at the same time: nothing acknowledged is lost, nothing is missed by those who poll,
//! and no timestamp is given twice.
//!
//! Each writer keeps to one server. All meet in the same lists, and now and then at the same
//! objects. Each answer to a write says what an object was at a moment, so that the latest answer
//! says what it must be in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::peer::{Client, Pair, Request, Side};
use super::scenario::ALICE;
use crate::http::Response;

/// Writers on each side.
const WRITERS: usize = 4;
/// Objects of each list that all writers write to.
const COMMON: u32 = 3;
/// Objects of each list that one writer has for itself.
const OWN: u32 = 20;
/// How long a client waits after a 503.
const PAUSE: Duration = Duration::from_millis(50);

const LISTS: [&str; 4] = [
    "/buckets/busy/collections/one/records",
    "/buckets/busy/collections/two/records",
    "/buckets/busy/groups",
    "/buckets/busy/collections",
];

/// How many requests each server answered with which status.
type Statuses = BTreeMap<(&'static str, u16), usize>;
/// The objects and tombstones of a list by their ids.
type Content = BTreeMap<String, Value>;
/// All that answers said of objects, by their paths.
type Acknowledged = HashMap<String, Vec<Value>>;

/// How far it has come.
#[derive(Default)]
struct Progress {
    /// Writers begin nothing more.
    ends: AtomicBool,
    /// All writers have ended.
    is_quiet: AtomicBool,
}

/// Lets both servers be written to for a while; returns what to say about it.
pub(super) fn check(
    pair: &Pair,
    duration: Duration,
    seed: u64,
    count_deadlocks: impl Fn() -> Result<usize>,
) -> Result<String> {
    set_up(pair)?;
    let run = run(pair, duration, seed).with_context(|| format!("seed {seed}"))?;
    let deadlocks = count_deadlocks()?;
    check_statuses(pair, &run.statuses, deadlocks)?;
    let mut objects = 0;
    for (list, seen) in LISTS.iter().zip(&run.polled) {
        let content = check_servers_agree(pair, list)?;
        check_kept(list, &content, &run.acknowledged).context("what was acknowledged")?;
        check_same(list, &content, seen).context("what a poller has seen")?;
        objects += content.len();
    }
    let writes: usize = run.acknowledged.values().map(Vec::len).sum();
    ensure!(writes > 0, "nothing was written");
    let answers =
        run.statuses.iter().map(|((name, code), count)| format!("{name} {code}: {count}"));
    let answers: Vec<_> = answers.collect();
    Ok(format!(
        "{writes} changes to {objects} objects are all there, {} polls missed none; {}; \
         {deadlocks} deadlocks",
        run.polls,
        answers.join(", ")
    ))
}

fn set_up(pair: &Pair) -> Result<()> {
    let mut client = pair.client(Side::Cumulo);
    for path in ["/buckets/busy", "/buckets/busy/collections/one", "/buckets/busy/collections/two"]
    {
        client.send(&Request::new("PUT", path).by(ALICE).json(&json!({})))?.succeeded()?;
    }
    Ok(())
}

/// What has happened.
#[derive(Default)]
struct Run {
    acknowledged: Acknowledged,
    statuses: Statuses,
    /// What the poller of each list has seen.
    polled: Vec<Content>,
    polls: usize,
}

fn run(pair: &Pair, duration: Duration, seed: u64) -> Result<Run> {
    let progress = Progress::default();
    let mut run = Run::default();
    thread::scope(|scope| {
        let mut writers = Vec::new();
        for number in 0..2 * WRITERS {
            let mut writer = Writer::new(pair, number, seed.wrapping_add(number as u64));
            let progress = &progress;
            writers.push(scope.spawn(move || {
                let result = writer.work(progress);
                // Whoever fails ends the work of all.
                progress.ends.store(true, Ordering::SeqCst);
                result.map(|()| writer)
            }));
        }
        let mut pollers = Vec::new();
        for list in LISTS {
            let (client, progress) = (pair.client(Side::Cumulo), &progress);
            pollers.push(scope.spawn(move || poll(client, list, progress)));
        }
        let start = Instant::now();
        while start.elapsed() < duration && !progress.ends.load(Ordering::SeqCst) {
            thread::sleep(PAUSE);
        }
        progress.ends.store(true, Ordering::SeqCst);
        let writers: Vec<_> = writers.into_iter().map(|it| it.join().expect("panics")).collect();
        progress.is_quiet.store(true, Ordering::SeqCst);
        let pollers: Vec<_> = pollers.into_iter().map(|it| it.join().expect("panics")).collect();
        for writer in writers {
            run.add(writer?);
        }
        for poller in pollers {
            let (content, polls) = poller?;
            run.polled.push(content);
            run.polls += polls;
        }
        Ok(run)
    })
}

impl Run {
    fn add(&mut self, writer: Writer) {
        for (path, versions) in writer.acknowledged {
            self.acknowledged.entry(path).or_default().extend(versions);
        }
        for (key, count) in writer.statuses {
            *self.statuses.entry(key).or_default() += count;
        }
    }
}

/// Follows a list by its `ETag`; the last poll begins after all writing.
fn poll(mut client: Client, list: &str, progress: &Progress) -> Result<(Content, usize)> {
    let (mut content, mut since, mut polls) = (Content::new(), "0".to_owned(), 0);
    loop {
        let is_last = progress.is_quiet.load(Ordering::SeqCst);
        let request = Request::get(&format!("{list}?_since={since}")).by(ALICE);
        let response = client.send(&request)?.succeeded().context("a poll")?;
        let etag = response.header("etag").context("no ETag")?;
        etag.trim_matches('"').clone_into(&mut since);
        content.extend(objects(&response)?);
        polls += 1;
        if is_last {
            return Ok((content, polls));
        }
        thread::sleep(PAUSE / 10);
    }
}

/// A client that writes to one server.
struct Writer {
    side: Side,
    client: Client,
    number: usize,
    random: StdRng,
    token: u64,
    acknowledged: Acknowledged,
    statuses: Statuses,
}

impl Writer {
    fn new(pair: &Pair, number: usize, seed: u64) -> Self {
        let side = if number.is_multiple_of(2) { Side::Kinto } else { Side::Cumulo };
        Self {
            side,
            client: pair.client(side),
            number,
            random: StdRng::seed_from_u64(seed),
            token: 0,
            acknowledged: Acknowledged::new(),
            statuses: Statuses::new(),
        }
    }

    fn work(&mut self, progress: &Progress) -> Result<()> {
        while !progress.ends.load(Ordering::SeqCst) {
            if self.random.random_ratio(1, 5) { self.write_batch()? } else { self.write_one()? }
        }
        Ok(())
    }

    fn write_one(&mut self) -> Result<()> {
        let (method, path, body) = self.change(COMMON);
        let request = Request { body, ..Request::new(method, &path).by(ALICE) };
        let response = self.client.send(&request.with("Content-Type", "application/json"))?;
        self.note(response.status);
        match response.status {
            200 | 201 => self.acknowledge(&path, &response.json()?)?,
            404 | 409 => {}
            503 => thread::sleep(PAUSE),
            _ => bail!("{:?} answers {} {}", self.side, response.status, response.text()),
        }
        Ok(())
    }

    /// Kinto undoes a part of a batch that has a conflict, so it gets none.
    fn write_batch(&mut self) -> Result<()> {
        let common = if self.side == Side::Kinto { 0 } else { COMMON };
        let (mut requests, mut paths) = (Vec::new(), Vec::new());
        for _ in 0..self.random.random_range(2..8) {
            let (method, path, body) = self.change(common);
            let mut request = json!({"method": method, "path": path});
            if let Some(body) = body {
                request["body"] = serde_json::from_str(&body)?;
            }
            requests.push(request);
            paths.push(path);
        }
        let request = Request::new("POST", "/batch").by(ALICE).json(&json!({"requests": requests}));
        let response = self.client.send(&request)?;
        self.note(response.status);
        match response.status {
            200 => {}
            503 => {
                thread::sleep(PAUSE);
                return Ok(());
            }
            _ => bail!("{:?} answers {} {}", self.side, response.status, response.text()),
        }
        let answers = response.json()?["responses"].take();
        for (path, answer) in paths.iter().zip(answers.as_array().context("no responses")?) {
            match answer["status"].as_u64() {
                Some(200 | 201) => self.acknowledge(path, &answer["body"])?,
                Some(404) => {}
                _ => bail!("{:?} answers in a batch: {answer}", self.side),
            }
        }
        Ok(())
    }

    /// Method, path and body of any change; to one of the objects of all with a small chance.
    fn change(&mut self, common: u32) -> (&'static str, String, Option<String>) {
        let list = LISTS[[0, 0, 0, 1, 1, 2, 2, 3][self.random.random_range(0..8)]];
        let number = self.random.random_range(0..OWN + common);
        let id = match number.checked_sub(OWN) {
            Some(number) => format!("common-{number}"),
            None => format!("own-{}-{number}", self.number),
        };
        self.token += 1;
        let text = "x".repeat(self.random.random_range(0..200));
        let mut data = json!({"writer": self.number, "token": self.token, "text": text});
        if list.ends_with("/groups") {
            data["members"] = json!([format!("account:{}", self.token % 5), "basicauth:someone"]);
        }
        let body = json!({"data": data}).to_string();
        let path = format!("{list}/{id}");
        match self.random.random_range(0..10) {
            0..6 => ("PUT", path, Some(body)),
            6..8 => ("PATCH", path, Some(body)),
            _ => ("DELETE", path, None),
        }
    }

    fn acknowledge(&mut self, path: &str, answer: &Value) -> Result<()> {
        ensure!(moment(&answer["data"]).is_ok(), "an answer without a timestamp: {answer}");
        self.acknowledged.entry(path.to_owned()).or_default().push(answer["data"].clone());
        Ok(())
    }

    fn note(&mut self, status: u16) {
        let name = if self.side == Side::Kinto { "Kinto" } else { "Cumulo" };
        *self.statuses.entry((name, status)).or_default() += 1;
    }
}

/// Cumulo is always there; Kinto but for deadlocks. PostgreSQL counts those of both.
fn check_statuses(pair: &Pair, statuses: &Statuses, deadlocks: usize) -> Result<()> {
    let refused = |name| statuses.get(&(name, 503)).copied().unwrap_or_default();
    let (kinto, cumulo) = (refused("Kinto"), refused("Cumulo"));
    ensure!(cumulo == 0, "Cumulo answered 503: {}", pair.cumulo.log_tail());
    ensure!(
        kinto <= deadlocks,
        "Kinto answered 503 {kinto} times, with {deadlocks} deadlocks: {}",
        pair.kinto.log_tail()
    );
    Ok(())
}

/// Both list the same, and no timestamp twice.
fn check_servers_agree(pair: &Pair, list: &str) -> Result<Content> {
    let request = Request::get(&format!("{list}?_since=0")).by(ALICE);
    let answers = [Side::Kinto, Side::Cumulo].map(|side| pair.client(side).send(&request));
    let [kinto, cumulo] = answers;
    let (kinto, cumulo) = (kinto?.succeeded()?, cumulo?.succeeded()?);
    ensure!(kinto.header("etag") == cumulo.header("etag"), "the timestamps of {list} differ");
    let content: Content = objects(&cumulo)?.into_iter().collect();
    let of_kinto: Content = objects(&kinto)?.into_iter().collect();
    check_same(list, &content, &of_kinto).context("what Kinto lists")?;
    let moments = content.values().map(moment).collect::<Result<HashSet<_>>>()?;
    ensure!(moments.len() == content.len(), "{list} has a timestamp twice");
    Ok(content)
}

/// The latest answer says what each object is, and no two changes had one timestamp.
fn check_kept(list: &str, content: &Content, acknowledged: &Acknowledged) -> Result<()> {
    let mut moments = HashSet::new();
    for (path, versions) in acknowledged {
        let Some(id) = path.strip_prefix(list).and_then(|it| it.strip_prefix('/')) else {
            continue;
        };
        if id.contains('/') {
            continue;
        }
        let mut latest = (0, &Value::Null);
        for version in versions {
            let moment = moment(version)?;
            ensure!(moments.insert(moment), "two changes in {list} at {moment}: {version}");
            latest = if moment > latest.0 { (moment, version) } else { latest };
        }
        ensure!(
            content.get(id) == Some(latest.1),
            "{path} is {:?}, but the latest answer was {}",
            content.get(id),
            latest.1
        );
    }
    Ok(())
}

fn check_same(list: &str, content: &Content, other: &Content) -> Result<()> {
    let ids: BTreeSet<_> = content.keys().chain(other.keys()).collect();
    for id in ids {
        let (left, right) = (content.get(id), other.get(id));
        ensure!(left == right, "{list}/{id} is {left:?}, but there it is {right:?}");
    }
    Ok(())
}

fn objects(response: &Response) -> Result<Vec<(String, Value)>> {
    let Value::Array(objects) = response.json()?["data"].take() else { bail!("no list of data") };
    objects
        .into_iter()
        .map(|object| Ok((object["id"].as_str().context("no id")?.to_owned(), object)))
        .collect()
}

fn moment(object: &Value) -> Result<u64> {
    object["last_modified"].as_u64().with_context(|| format!("no timestamp: {object}"))
}
