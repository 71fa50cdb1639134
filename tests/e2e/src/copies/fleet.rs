//! The copies, the servers behind them, and what went wrong between them and their clients.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cumulo_servers::{Options, Postgres, Redis};

use super::{Outcome, PATIENCE, Plan};
use crate::http::Connection;
use crate::server::{free_port, write_ini};
use crate::{Program, Server, Storage};

/// Copies with the same settings.
pub(super) struct Fleet {
    copies: Vec<Copy>,
    postgres: Mutex<Postgres>,
    redis: Mutex<Redis>,
    /// How often the cache may have lost what it had.
    cache_losses: AtomicU32,
    writing_is_over: AtomicBool,
    polling_is_over: AtomicBool,
    record: Mutex<Record>,
}

/// A copy that can be killed and started again.
pub(super) struct Copy {
    pub(super) address: SocketAddr,
    server: Mutex<Option<Server>>,
    launch: Launch,
    /// Changes when it is about to be killed: connections of before are cut.
    pub(super) life: AtomicU32,
    pub(super) is_up: AtomicBool,
}

struct Launch {
    port: u16,
    program: Program,
    folder: PathBuf,
    storage: Storage,
    cache: String,
}

/// What clients have seen.
#[derive(Default)]
struct Record {
    /// When there was a 503.
    unavailable: Vec<(Instant, usize)>,
    cut: usize,
    slowest: Duration,
    /// Since when a server was away, and until when its absence may be felt.
    outages: Vec<(Instant, Option<Instant>)>,
}

impl Launch {
    fn start(&self) -> Result<Server> {
        let settings = settings(&self.cache);
        Server::start_on(self.port, &self.program, &self.folder, &self.storage, &settings)
    }
}

fn settings(cache: &str) -> [(&str, &str); 6] {
    [
        ("kinto.cache_backend", "kinto.core.cache.redis"),
        ("kinto.cache_url", cache),
        ("kinto.storage_pool_size", "5"),
        ("kinto.storage_max_overflow", "0"),
        ("kinto.batch_max_requests", "50"),
        ("kinto.retry_after_seconds", "3"),
    ]
}

impl Fleet {
    /// Start the servers, make the tables, and start the copies.
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        let postgres = Postgres::start(&Options { fsync: true, ..Options::default() })?;
        let redis = Redis::start()?;
        let storage = Storage::Postgresql(postgres.url());
        migrate(plan, &storage, &settings(&redis.url()))?;
        let mut copies = Vec::new();
        for index in 0..plan.copies {
            let folder = plan.folder.join(format!("copy{index}"));
            fs::create_dir_all(&folder)?;
            let launch = Launch {
                port: free_port()?,
                program: Program::cumulo(&plan.executable),
                folder,
                storage: storage.clone(),
                cache: redis.url(),
            };
            let server = launch.start()?;
            copies.push(Copy {
                address: server.address,
                server: Mutex::new(Some(server)),
                launch,
                life: AtomicU32::new(0),
                is_up: AtomicBool::new(true),
            });
        }
        Ok(Self {
            copies,
            postgres: Mutex::new(postgres),
            redis: Mutex::new(redis),
            cache_losses: AtomicU32::new(0),
            writing_is_over: AtomicBool::new(false),
            polling_is_over: AtomicBool::new(false),
            record: Mutex::default(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    pub(super) fn copy(&self, index: usize) -> &Copy {
        &self.copies[index]
    }

    /// A connection to one copy, for requests that must not fail.
    pub(super) fn connect(&self, copy: usize) -> Result<Connection> {
        Connection::open(self.copies[copy].address)
    }

    pub(super) fn postgres(&self) -> MutexGuard<'_, Postgres> {
        self.postgres.lock().expect("nobody panicked")
    }

    pub(super) fn redis(&self) -> MutexGuard<'_, Redis> {
        self.redis.lock().expect("nobody panicked")
    }

    /// SIGKILL.
    pub(super) fn kill(&self, copy: usize) -> Result<()> {
        let copy = &self.copies[copy];
        copy.is_up.store(false, Ordering::SeqCst);
        copy.life.fetch_add(1, Ordering::SeqCst);
        copy.server.lock().expect("nobody panicked").take().context("it is not there")?.kill()
    }

    /// Start a copy that was killed. Resolves when it answers.
    pub(super) fn start_again(&self, copy: usize) -> Result<()> {
        let copy = &self.copies[copy];
        *copy.server.lock().expect("nobody panicked") = Some(copy.launch.start()?);
        copy.is_up.store(true, Ordering::SeqCst);
        Ok(())
    }

    pub(super) fn cache_losses(&self) -> u32 {
        self.cache_losses.load(Ordering::SeqCst)
    }

    /// The cache is empty soon, or was until now: either way, tokens of before may be gone.
    pub(super) fn lose_cache(&self) {
        self.cache_losses.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn stop_writing(&self) {
        self.writing_is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn stop_polling(&self) {
        self.polling_is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_writing(&self) -> bool {
        !self.writing_is_over.load(Ordering::SeqCst)
    }

    pub(super) fn is_polling(&self) -> bool {
        !self.polling_is_over.load(Ordering::SeqCst)
    }

    /// A server goes away.
    pub(super) fn begin_outage(&self) {
        self.record().outages.push((Instant::now(), None));
    }

    /// It is back.
    pub(super) fn end_outage(&self) {
        if let Some((_, end)) = self.record().outages.last_mut() {
            *end = Some(Instant::now() + PATIENCE);
        }
    }

    pub(super) fn note_unavailable(&self, copy: usize) {
        self.record().unavailable.push((Instant::now(), copy));
    }

    pub(super) fn note_cut(&self) {
        self.record().cut += 1;
    }

    pub(super) fn note_duration(&self, duration: Duration) {
        let mut record = self.record();
        record.slowest = record.slowest.max(duration);
    }

    /// Nothing was unavailable but during outages.
    pub(super) fn judge(&self, outcome: &mut Outcome) -> Result<()> {
        let record = self.record();
        for (at, copy) in &record.unavailable {
            let is_within = |(begin, end): &(Instant, Option<Instant>)| {
                begin <= at && end.is_none_or(|end| *at <= end)
            };
            ensure!(
                record.outages.iter().any(is_within),
                "copy {copy} was unavailable while all servers were there"
            );
        }
        outcome.unavailable = record.unavailable.len();
        outcome.cut = record.cut;
        outcome.slowest = record.slowest;
        Ok(())
    }

    /// All copies must still run, and stop when they are told to.
    pub(super) fn stop(&mut self) -> Result<()> {
        for copy in &mut self.copies {
            let server = copy.server.get_mut().expect("nobody panicked").take();
            let mut server = server.context("a copy is not there")?;
            server.check_running()?;
            server.stop()?;
        }
        Ok(())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nobody panicked")
    }
}

/// Make the tables.
pub(super) fn migrate(plan: &Plan, storage: &Storage, settings: &[(&str, &str)]) -> Result<()> {
    let ini = plan.folder.join("migrate.ini");
    write_ini(&ini, 1, storage, settings)?;
    let output = Command::new(&plan.executable).args(["migrate", "--ini"]).arg(&ini).output()?;
    if !output.status.success() {
        bail!("cumulo migrate: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
