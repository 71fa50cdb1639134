//! A client that hops over the copies, and judges how they fail.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::fleet::Fleet;
use crate::http::{AUTHORIZATION, Connection, Response};

/// After this long without an answer, a client gives up.
const DESPAIR: Duration = Duration::from_secs(20);

/// Sends each request to the next copy.
pub(super) struct Client<'a> {
    fleet: &'a Fleet,
    /// To each copy, with the life of the copy in which it was opened.
    connections: Vec<Option<(u32, Connection)>>,
    next: usize,
    /// When it was last answered otherwise than by 503.
    answered: Instant,
    pub(super) random: StdRng,
}

impl<'a> Client<'a> {
    pub(super) fn new(fleet: &'a Fleet, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let next = random.random_range(0..fleet.len());
        let connections = (0..fleet.len()).map(|_| None).collect();
        Self { fleet, connections, next, answered: Instant::now(), random }
    }

    /// A request with JSON, as the usual user.
    pub(super) fn json(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Response>> {
        self.request(method, path, &[], body)
    }

    /// A request with more headers: those of the same name win. None if there was no answer, or
    /// a 503, as there may be; an error if it was not as it should be.
    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Option<Response>> {
        ensure!(self.answered.elapsed() < DESPAIR, "nothing was answered for {DESPAIR:?}");
        let body = body.map(Value::to_string);
        let mut all = vec![("Content-Type", "application/json")];
        if !headers.iter().any(|(name, _)| *name == AUTHORIZATION.0) {
            all.push(AUTHORIZATION);
        }
        all.extend(headers);
        let (copy, mut connection) = self.connect()?;
        let start = Instant::now();
        let answer = connection.1.request(method, path, &all, body.as_deref().map(str::as_bytes));
        self.fleet.note_duration(start.elapsed());
        let what = || format!("{method} {path}, copy {copy}");
        match answer {
            Ok(response) => {
                if response.header("connection") != Some("close") {
                    self.connections[copy] = Some(connection);
                }
                self.judge(copy, response).with_context(what)
            }
            Err(_) if self.was_killed(copy, connection.0) => {
                self.fleet.note_cut();
                Ok(None)
            }
            Err(error) => Err(error.context("a connection was cut").context(what())),
        }
    }

    /// A kept or a new connection to the next copy that takes one.
    fn connect(&mut self) -> Result<(usize, (u32, Connection))> {
        for _ in 0..self.fleet.len() * 2 {
            let index = self.next;
            self.next = (index + 1) % self.fleet.len();
            let copy = self.fleet.copy(index);
            let kept = self.connections[index].take().filter(|_| self.random.random_bool(0.9));
            let life = copy.life.load(Ordering::SeqCst);
            if let Some(kept) = kept.filter(|(born, _)| *born == life) {
                return Ok((index, kept));
            }
            match Connection::open(copy.address) {
                Ok(connection) => return Ok((index, (life, connection))),
                Err(_) if self.was_killed(index, life) => {}
                Err(error) => {
                    return Err(error.context(format!("copy {index} takes no connections")));
                }
            }
        }
        bail!("no copy takes connections")
    }

    fn was_killed(&self, copy: usize, life: u32) -> bool {
        let copy = self.fleet.copy(copy);
        !copy.is_up.load(Ordering::SeqCst) || copy.life.load(Ordering::SeqCst) != life
    }

    fn judge(&mut self, copy: usize, response: Response) -> Result<Option<Response>> {
        if response.status == 503 {
            let seconds = response.header("retry-after").context("503 without Retry-After")?;
            let is_number = seconds.parse::<u32>().is_ok();
            ensure!(is_number, "Retry-After: {seconds}");
            self.fleet.note_unavailable(copy);
            return Ok(None);
        }
        self.answered = Instant::now();
        ensure!(response.status < 500, "{} {}", response.status, response.text());
        Ok(Some(response))
    }
}
