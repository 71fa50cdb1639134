//! Runs the load generator of benches/load.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::target::{Requests, Target};

/// The load generator's program.
pub(super) struct Generator {
    pub(super) program: PathBuf,
}

/// When to stop.
#[derive(Clone, Copy)]
pub(super) enum Until {
    Requests(usize),
    Seconds(f64),
}

/// What one run has measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Requests per second.
    pub(super) rate: f64,
    /// Latencies in milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Milliseconds from one request of a connection to its next, on average.
    pub(super) mean: f64,
    /// Processor time of the server and its database per 1,000 requests, in milliseconds.
    pub(super) cpu: f64,
    /// The part of the database.
    pub(super) database_cpu: f64,
}

impl Generator {
    pub(super) fn run(
        &self,
        target: &Target,
        requests: &Requests,
        connections: usize,
        until: Until,
    ) -> Result<Measure> {
        let mut job = json!({
            "address": target.server.address.to_string(),
            "connections": connections,
            "requests": requests.texts,
            "status": requests.status,
        });
        match until {
            Until::Requests(count) => job["count"] = json!(count),
            Until::Seconds(seconds) => job["seconds"] = json!(seconds),
        }
        let before = target.cpu_times()?;
        let report = self.call(&job).with_context(|| format!("load on {}", target.name))?;
        let after = target.cpu_times()?;
        let (server, database) = (after.server - before.server, after.database - before.database);
        target.memory()?;
        let number = |name: &str| report[name].as_f64().with_context(|| format!("no {name}"));
        let (count, refused) = (number("requests")?, number("refused")?);
        if refused > 0.0 {
            let (name, sent, status) = (target.name, count + refused, &report["refusal"]);
            println!("{name} refused {refused} of {sent} requests, with {status}");
        }
        ensure!(count > refused, "{} refuses most requests", target.name);
        Ok(Measure {
            rate: count / number("seconds")?,
            p50: number("p50")? / 1000.0,
            p99: number("p99")? / 1000.0,
            #[expect(clippy::cast_precision_loss, reason = "there are a few connections")]
            mean: number("seconds")? * 1000.0 * connections as f64 / count,
            cpu: (server + database) * 1e6 / count,
            database_cpu: database * 1e6 / count,
        })
    }

    fn call(&self, job: &Value) -> Result<Value> {
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run the load generator")?;
        let mut input = child.stdin.take().context("stdin is piped")?;
        input.write_all(job.to_string().as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the load generator failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Measure {
    /// Processor time of the server alone per 1,000 requests, in milliseconds.
    pub(super) fn server_cpu(&self) -> f64 {
        self.cpu - self.database_cpu
    }

    /// Of each number, the median over some rounds.
    pub(super) fn median(rounds: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(rounds.iter().map(number).collect());
        Self {
            rate: of(|it| it.rate),
            p50: of(|it| it.p50),
            p99: of(|it| it.p99),
            mean: of(|it| it.mean),
            cpu: of(|it| it.cpu),
            database_cpu: of(|it| it.database_cpu),
        }
    }
}

pub(super) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
