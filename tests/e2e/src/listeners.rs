//! Event listeners under fire: what was acknowledged is told to each of them, at least once, and
//! nothing else ever is.
//!
//! A webhook that often fails, Redis and the log are told of records that several writers create,
//! while the server is killed at random moments. At the end all three have been told of exactly what
//! is stored. And when one of two copies on a PostgreSQL is killed with messages in its hands, the
//! other one delivers them.

mod load;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cumulo_servers::{Answer, Postgres, Receiver, Redis};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::replica::migrate;
use crate::{Program, Server, Storage};
use load::Load;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// How long it may take until all that is left has arrived.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Our program.
    pub executable: PathBuf,
    /// Where the servers' files go.
    pub folder: PathBuf,
    /// How many times it is killed.
    pub kills: u32,
    /// How many connections write.
    pub writers: usize,
    /// Where the randomness begins.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Records whose creation was acknowledged.
    pub acknowledged: usize,
    /// Records that are stored, and that all listeners were told of.
    pub told: usize,
    /// Requests that the webhook got.
    pub posts: usize,
    /// How many of them it did not accept.
    pub refused: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, told, posts, refused } = self;
        let more = told - acknowledged;
        write!(
            f,
            "{acknowledged} acknowledged records, and {more} more that are stored, told to all; "
        )?;
        write!(f, "the webhook did not accept {refused} of {posts} posts")
    }
}

/// The listeners and what they were told.
struct Listeners {
    receiver: Receiver,
    /// Where it is told.
    hook: String,
    redis: Redis,
    log: PathBuf,
}

/// Runs on SQLite; an error is a broken promise of the server.
pub fn run_on_sqlite(plan: &Plan) -> Result<Outcome> {
    run(plan, &Storage::Sqlite(plan.folder.join("cumulo.sqlite")))
}

/// Runs on PostgreSQL.
pub fn run_on_postgresql(plan: &Plan, postgres: &Postgres) -> Result<Outcome> {
    run(plan, &database(plan, postgres, "listeners")?)
}

/// A new database with its tables.
fn database(plan: &Plan, postgres: &Postgres, name: &str) -> Result<Storage> {
    let storage = Storage::Postgresql(postgres.create_database(name)?);
    migrate(&plan.executable, &plan.folder, &storage)?;
    Ok(storage)
}

fn run(plan: &Plan, storage: &Storage) -> Result<Outcome> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let receiver = Receiver::start(|_| moody())?;
    let listeners = Listeners {
        hook: format!("{}/hook", receiver.url()),
        receiver,
        redis: Redis::start()?,
        log: plan.folder.join("server.log"),
    };
    let start = || listeners.start(plan, storage);
    let mut server = start()?;
    load::set_up(&server)?;
    let mut load = Load::new(plan.writers);
    for round in 1..=plan.kills {
        let pause = Duration::from_millis(random.random_range(50..700));
        load.run(&server, pause, server_killer(&server))
            .with_context(|| format!("round {round}"))?;
        drop(server);
        server = start().with_context(|| format!("restart of round {round}"))?;
    }
    let stored = load::stored(&server)?;
    let missing: Vec<_> = load.acknowledged.difference(&stored).take(5).collect();
    ensure!(missing.is_empty(), "acknowledged, and lost: {missing:?}");
    listeners.wait_for(&stored)?;
    // In good order, too: nothing is told again after that.
    server.stop()?;
    let server = start()?;
    listeners.check(&stored)?;
    server.stop()?;
    let posts = listeners.receiver.received();
    let refused = posts.iter().filter(|it| !it.accepted).count();
    ensure!(load.acknowledged.len() > 20, "hardly anything was written");
    Ok(Outcome {
        acknowledged: load.acknowledged.len(),
        told: stored.len(),
        posts: posts.len(),
        refused,
    })
}

/// A receiver that often fails, in every way.
fn moody() -> Answer {
    match rand::random_range(0..100) {
        0..20 => Answer::Status(500, ""),
        20..28 => Answer::Cut,
        28..30 => Answer::Late(Duration::from_millis(1500)),
        30..33 => Answer::Status(503, "retry-after: 1\r\n"),
        33..35 => Answer::Status(302, "location: /elsewhere\r\n"),
        _ => Answer::Status(204, ""),
    }
}

fn server_killer(server: &Server) -> impl FnOnce() -> Result<()> {
    let id = server.id().to_string();
    move || {
        let killed = std::process::Command::new("kill").args(["-KILL", &id]).status()?;
        ensure!(killed.success(), "cannot kill the server");
        Ok(())
    }
}

impl Listeners {
    fn start(&self, plan: &Plan, storage: &Storage) -> Result<Server> {
        let redis = self.redis.url();
        let mut settings = webhook(&self.hook);
        settings.retain(|(name, _)| *name != "kinto.event_listeners");
        settings.extend([
            ("kinto.log_format", "json"),
            ("kinto.event_listeners", "hook queue audit"),
            ("kinto.event_listeners.queue.use", "kinto_redis.listeners"),
            ("kinto.event_listeners.queue.url", &redis),
            ("kinto.event_listeners.queue.resources", "record"),
            ("kinto.event_listeners.queue.include_objects", "true"),
            ("kinto.event_listeners.queue.timeout_seconds", "1"),
            ("kinto.event_listeners.audit.use", "cumulo.listeners.log"),
            ("kinto.event_listeners.audit.resources", "record"),
            ("kinto.event_listeners.audit.include_objects", "true"),
            ("kinto.event_listeners.audit.timeout_seconds", "1"),
        ]);
        let program = Program::cumulo(&plan.executable);
        Server::start(&program, &plan.folder, storage, &settings)
    }

    /// What each of them was told, by its name. Of the webhook, what it has accepted.
    fn told(&self) -> Result<[(&'static str, BTreeSet<String>); 3]> {
        let received = self.receiver.received();
        let accepted = received.iter().filter(|it| it.accepted);
        let queued = self.redis.list("kinto.core.events")?;
        let logged = logged(&self.log)?;
        Ok([
            ("webhook", ids(accepted.map(|it| it.body.as_str()))?),
            ("Redis", ids(queued.iter().map(String::as_str))?),
            ("log", ids(logged.iter().map(String::as_str))?),
        ])
    }

    /// Waits until each of them was told of everything.
    fn wait_for(&self, stored: &BTreeSet<String>) -> Result<()> {
        let start = Instant::now();
        loop {
            let told = self.told()?;
            if told.iter().all(|(_, told)| told.is_superset(stored)) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                for (name, told) in &told {
                    let missing: Vec<_> = stored.difference(told).take(5).collect();
                    ensure!(
                        missing.is_empty(),
                        "the {name} was never told of {} of {}: {missing:?}",
                        stored.difference(told).count(),
                        stored.len()
                    );
                }
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Fails if any of them was told of what is not there, or in a wrong way.
    fn check(&self, stored: &BTreeSet<String>) -> Result<()> {
        let received = self.receiver.received();
        for hook in &received {
            hook.check_signature(SECRET)?;
            ensure!(hook.path == "/hook", "a redirect was followed to {}", hook.path);
        }
        let posted = ids(received.iter().map(|it| it.body.as_str()))?;
        for (name, told) in self.told()?.into_iter().chain([("webhook, at least once,", posted)]) {
            let invented: Vec<_> = told.difference(stored).collect();
            ensure!(invented.is_empty(), "the {name} was told of what is not there: {invented:?}");
        }
        Ok(())
    }
}

/// The settings of the webhook.
fn webhook(url: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("kinto.event_listeners", "hook"),
        ("kinto.event_listeners.hook.use", "cumulo.listeners.webhook"),
        ("kinto.event_listeners.hook.url", url),
        ("kinto.event_listeners.hook.secret", SECRET),
        ("kinto.event_listeners.hook.resources", "record"),
        ("kinto.event_listeners.hook.include_objects", "true"),
        ("kinto.event_listeners.hook.timeout_seconds", "1"),
        ("kinto.event_listeners.hook.retry_seconds", "1"),
        ("kinto.event_listeners.hook.max_retry_seconds", "1"),
    ]
}

/// The records that messages are about.
fn ids<'a>(bodies: impl Iterator<Item = &'a str>) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for body in bodies {
        let body: Value = serde_json::from_str(body).context("a message")?;
        ensure!(body["action"] == "create" && body["resource_name"] == "record", "{body}");
        for impact in body["impacted_objects"].as_array().context("objects")? {
            ids.insert(impact["new"]["id"].as_str().context("an id")?.to_owned());
        }
    }
    Ok(ids)
}

/// The messages in a log. A line may be cut by the end of a process.
fn logged(file: &Path) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events = lines.filter(|line| line["Type"] == "event");
    Ok(events.filter_map(|line| line["Fields"]["payload"].as_str().map(str::to_owned)).collect())
}

/// Two copies on one PostgreSQL: one is killed while it delivers, and the other one takes over.
/// Returns how many messages it had in its hands.
pub fn take_over(plan: &Plan, postgres: &Postgres) -> Result<usize> {
    let storage = database(plan, postgres, "take_over")?;
    let hangs = Arc::new(AtomicBool::new(true));
    let mood = Arc::clone(&hangs);
    let receiver = Receiver::start(move |_| {
        let hangs = mood.load(Ordering::SeqCst);
        if hangs { Answer::Late(Duration::from_secs(2)) } else { Answer::Status(204, "") }
    })?;
    let hook = format!("{}/hook", receiver.url());
    let mut settings = webhook(&hook);
    // Long enough not to be over before it is killed.
    settings.retain(|(name, _)| !name.ends_with("timeout_seconds"));
    settings.push(("kinto.event_listeners.hook.timeout_seconds", "2"));
    let start = |name: &str| {
        let folder = plan.folder.join(name);
        fs::create_dir_all(&folder)?;
        Server::start(&Program::cumulo(&plan.executable), &folder, &storage, &settings)
    };
    let killed = start("killed")?;
    load::set_up(&killed)?;
    let mut connection = killed.connect()?;
    for n in 0..5 {
        let path = load::record(0, &format!("handed-over-{n}"));
        connection.json("PUT", &path, Some(&json!({"data": {}})))?.succeeded()?;
    }
    wait("the first copy delivers", || receiver.received().len() >= 5)?;
    killed.kill()?;
    hangs.store(false, Ordering::SeqCst);
    let other = start("other")?;
    let in_hand = receiver.received().len();
    let accepted = || receiver.received().into_iter().filter(|it| it.accepted).collect::<Vec<_>>();
    wait("the other copy takes over", || accepted().len() >= 5)?;
    let told = ids(accepted().iter().map(|it| it.body.as_str()).collect::<Vec<_>>().into_iter())?;
    ensure!(told == load::stored(&other)?, "{told:?}");
    other.stop()?;
    Ok(in_hand)
}

/// A database that only Kinto has migrated: it is served, but not with listeners.
pub fn need_their_table(plan: &Plan, postgres: &Postgres) -> Result<()> {
    let storage = database(plan, postgres, "without_table")?;
    postgres.query("without_table", "DROP TABLE cumulo_message")?;
    let program = Program::cumulo(&plan.executable);
    let start =
        |settings: &[(&str, &str)]| Server::start(&program, &plan.folder, &storage, settings);
    load::set_up(&start(&[])?)?;
    let Err(refusal) = start(&webhook("http://127.0.0.1:9/")) else {
        bail!("it starts without the table of messages");
    };
    let refusal = format!("{refusal:#}");
    let is_clear = ["event_listeners", "cumulo_message", "cumulo migrate"];
    ensure!(is_clear.iter().all(|word| refusal.contains(word)), "{refusal}");
    migrate(&plan.executable, &plan.folder, &storage)?;
    start(&webhook("http://127.0.0.1:9/"))?.stop()
}

fn wait(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !holds() {
        ensure!(start.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
