//! Sends reports on a thread of its own. Nobody waits for it: what can't be sent is dropped.

use std::{
    cell::Cell,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use reqwest::{Client, header::HeaderMap};
use tracing::warn;

/// The most reports that wait.
const MOST_WAITING: usize = 2048;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing is sent after a request that failed.
const REST: Duration = Duration::from_secs(10);

thread_local! {
    static IS_COURIER: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread sends reports: its own troubles are not reported, which would never end.
pub(super) fn is_courier() -> bool {
    IS_COURIER.get()
}

/// Where reports go, and how.
pub(super) struct Route {
    /// Who gets them, for the log.
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    /// The most reports in one request.
    pub(super) most: usize,
    /// How long reports are gathered.
    pub(super) pause: Duration,
    /// Makes the body of a request.
    pub(super) pack: Pack,
}

/// Makes the body of a request of reports.
pub(super) type Pack = Box<dyn Fn(&[String]) -> String + Send>;

/// Takes reports, and sends those that wait when it is dropped.
pub(super) struct Courier {
    reports: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    pub(super) fn start(route: Route) -> anyhow::Result<Self> {
        let (reports, waiting) = mpsc::sync_channel(MOST_WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = Client::builder().timeout(PATIENCE).default_headers(route.headers.clone());
        // Reports stay where they belong.
        let client = client.redirect(reqwest::redirect::Policy::none());
        let client = client.build().with_context(|| format!("can't report to {}", route.name))?;
        let work = move || {
            IS_COURIER.set(true);
            route.deliver(&waiting, |body| runtime.block_on(post(&client, &route.url, body)));
        };
        let thread = thread::Builder::new().name("reports".into()).spawn(work)?;
        Ok(Self { reports: Some(reports), thread: Some(thread) })
    }

    /// Adds a report.
    pub(super) fn add(&self, report: String) {
        if let Some(reports) = &self.reports {
            let _ = reports.try_send(report);
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.reports = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Route {
    /// Sends reports until there will be no more.
    fn deliver(&self, waiting: &Receiver<String>, send: impl Fn(String) -> Result<(), String>) {
        let mut resting_until = None;
        while let Ok(first) = waiting.recv() {
            let (reports, is_last) = self.gather(first, waiting);
            if resting_until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            resting_until = match send((self.pack)(&reports)) {
                Ok(()) => None,
                Err(problem) => {
                    warn!(problem, "can't report to {}", self.name);
                    Some(Instant::now() + REST)
                }
            };
            // At the end one attempt is enough.
            if is_last && resting_until.is_some() {
                return;
            }
        }
    }

    /// The reports that go together, and whether there will be no more after those that wait.
    fn gather(&self, first: String, waiting: &Receiver<String>) -> (Vec<String>, bool) {
        let until = Instant::now() + self.pause;
        let mut reports = vec![first];
        while reports.len() < self.most {
            match waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(report) => reports.push(report),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return (reports, true),
            }
        }
        (reports, false)
    }
}

/// The problem, if the other side did not take it. Neither address nor headers are named: they may
/// hold keys.
async fn post(client: &Client, url: &str, body: String) -> Result<(), String> {
    let sent = client.post(url).body(body).send().await;
    let response = sent.map_err(|error| {
        let error = error.without_url();
        let causes =
            std::iter::successors(std::error::Error::source(&error), |error| error.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    })?;
    if response.status().is_success() {
        Ok(())
    } else {
        Err(format!("it answers {}", response.status()))
    }
}
