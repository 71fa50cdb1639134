//! The story is told twice, and the servers take turns in writing: what one writes in the first
//! telling, the other writes in the second. After each write both are asked, and must say the same.
//! The answers to the writes must be the same too, but for the moments in them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail, ensure};

use super::compare::{Answer, Difference};
use super::differences;
use super::peer::{Client, Pair, Request, Side};
use super::questions;
use super::scenario::{self, ALICE, BOB, RECORDS, Step};
use crate::http::Response;

/// How many of the glances follow each write.
const GLANCES: usize = 3;
/// How many differences are shown.
const SHOWN: usize = 200;

/// Tells the story twice; returns what to say about it.
pub(super) fn check(pair: &Pair) -> Result<String> {
    let mut teller = Teller::new(pair);
    let first = teller.tell(Side::Kinto)?;
    let second = teller.tell(Side::Cumulo)?;
    for ((request, left), (_, right)) in first.iter().zip(&second) {
        let (left, right) = (left.without_moments(), right.without_moments());
        let (kinto, cumulo) = match request.writer {
            Side::Kinto => (&left, &right),
            Side::Cumulo => (&right, &left),
        };
        teller.compare("written", &request.request, kinto, cumulo);
    }
    teller.finish(first.len())
}

/// A write, and who carried it out.
struct Written {
    request: Request,
    writer: Side,
}

struct Teller {
    kinto: Client,
    cumulo: Client,
    /// What placeholders stand for.
    names: HashMap<String, String>,
    compared: usize,
    glanced: usize,
    /// What differs where, with the first case and the number of cases.
    found: BTreeMap<String, (String, usize)>,
    /// How often each difference on purpose was seen.
    seen: BTreeMap<&'static str, usize>,
}

impl Teller {
    fn new(pair: &Pair) -> Self {
        Self {
            kinto: pair.client(Side::Kinto),
            cumulo: pair.client(Side::Cumulo),
            names: HashMap::new(),
            compared: 0,
            glanced: 0,
            found: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Tells it on an empty database; returns all writes with their answers.
    fn tell(&mut self, first: Side) -> Result<Vec<(Written, Answer)>> {
        self.send(first, &Request::new("POST", "/__flush__").by(ALICE))?.succeeded()?;
        for (name, user) in [("alice", ALICE), ("bob", BOB)] {
            let hello = self.send(first, &Request::get("/").by(user))?.json()?;
            let id = hello["user"]["id"].as_str().context("no user id")?;
            self.names.insert(format!("{{{name}}}"), id.to_owned());
        }
        let mut written = Vec::new();
        let mut writer = first;
        for step in scenario::story() {
            match step {
                Step::Write(request) => {
                    let sent = self.write(writer, &request, &mut written)?;
                    self.look(writer, &sent)?;
                    writer = writer.other();
                }
                Step::Mark(name) => {
                    let etag = self.etag(writer, RECORDS)?;
                    let mark = etag.trim_matches('"').to_owned();
                    self.names.insert(format!("{{{name}}}"), mark);
                }
                Step::Ask => self.ask_all(writer, &questions::questions())?,
                Step::LogIn => self.ask_all(writer, &questions::logins())?,
                Step::Pages(path) => self.read_pages(path)?,
                Step::DeletePages(path) => self.delete_pages(writer, path, &mut written)?,
            }
        }
        Ok(written)
    }

    fn write(
        &mut self,
        writer: Side,
        request: &Request,
        written: &mut Vec<(Written, Answer)>,
    ) -> Result<Request> {
        let sent = self.fill(writer.other(), request)?;
        let response = self.send(writer, &sent)?;
        let answer = Answer::of(&sent, &response);
        written.push((Written { request: request.clone(), writer }, answer));
        Ok(sent)
    }

    /// Asks both for what may have changed.
    fn look(&mut self, writer: Side, written: &Request) -> Result<()> {
        self.ask_all(writer, &questions::looks_at(&written.path))?;
        let glances = questions::glances();
        let first = self.glanced;
        self.glanced += GLANCES;
        let mut turn = glances.iter().cycle().skip(first % glances.len()).take(GLANCES);
        turn.try_for_each(|request| self.ask(writer, request))
    }

    fn ask_all(&mut self, writer: Side, requests: &[Request]) -> Result<()> {
        requests.iter().try_for_each(|request| self.ask(writer, request))
    }

    /// Asks both, the one that did not write first.
    fn ask(&mut self, writer: Side, request: &Request) -> Result<()> {
        let request = self.fill(writer.other(), request)?;
        let before = self.send(writer.other(), &request)?;
        let after = self.send(writer, &request)?;
        let (before, after) = (Answer::of(&request, &before), Answer::of(&request, &after));
        match writer {
            Side::Cumulo => self.compare("read", &request, &before, &after),
            Side::Kinto => self.compare("read", &request, &after, &before),
        }
        Ok(())
    }

    /// Reads all pages; each server gets the link to the next one from the other.
    fn read_pages(&mut self, path: &str) -> Result<()> {
        let (mut for_kinto, mut for_cumulo) = (path.to_owned(), path.to_owned());
        for _ in 0..100 {
            let left = self.send(Side::Kinto, &Request::get(&for_kinto).by(ALICE))?;
            let right = self.send(Side::Cumulo, &Request::get(&for_cumulo).by(ALICE))?;
            let request = Request::get(path).by(ALICE).with("Page", &for_cumulo);
            let answers = [&left, &right].map(|it| Answer::of(&request, it));
            self.compare("page", &request, &answers[0], &answers[1]);
            match (next_page(&left)?, next_page(&right)?) {
                (Some(kinto), Some(cumulo)) => (for_kinto, for_cumulo) = (cumulo, kinto),
                _ => return Ok(()),
            }
        }
        bail!("{path} has no last page")
    }

    /// Deletes all pages; the servers take turns, each with the token of the other.
    fn delete_pages(
        &mut self,
        mut writer: Side,
        path: &str,
        written: &mut Vec<(Written, Answer)>,
    ) -> Result<()> {
        let mut next = Some(path.to_owned());
        let mut pages = 0;
        while let Some(path) = next {
            let sent = Request::new("DELETE", &path).by(ALICE);
            let response = self.send(writer, &sent)?.succeeded().with_context(|| path.clone())?;
            let answer = Answer::of(&sent, &response);
            written.push((Written { request: sent.clone(), writer }, answer));
            self.look(writer, &sent)?;
            next = next_page(&response)?;
            writer = writer.other();
            pages += 1;
            ensure!(pages < 100, "{path} has no last page");
        }
        ensure!(pages > 1, "{path} has one page only");
        Ok(())
    }

    /// Replaces placeholders; entity tags are those of `side`.
    fn fill(&mut self, side: Side, request: &Request) -> Result<Request> {
        let mut filled = request.clone();
        let texts = filled.headers.iter_mut().map(|(_, value)| value);
        for text in texts.chain([&mut filled.path]).chain(&mut filled.body) {
            if let Some(path) = text.strip_prefix("{etag ").and_then(|it| it.strip_suffix('}')) {
                *text = self.etag(side, path)?;
            }
            for (name, value) in &self.names {
                *text = text.replace(name, value);
            }
        }
        Ok(filled)
    }

    /// Of an object or list; one that matches nothing if there is none.
    fn etag(&mut self, side: Side, path: &str) -> Result<String> {
        let response = self.send(side, &Request::get(path).by(ALICE))?;
        Ok(response.header("etag").unwrap_or("\"1000000000000\"").to_owned())
    }

    fn send(&mut self, side: Side, request: &Request) -> Result<Response> {
        match side {
            Side::Kinto => self.kinto.send(request).context("Kinto"),
            Side::Cumulo => self.cumulo.send(request).context("Cumulo"),
        }
    }

    fn compare(&mut self, kind: &str, request: &Request, kinto: &Answer, cumulo: &Answer) {
        self.compared += 1;
        for difference in Answer::differences(kinto, cumulo) {
            match differences::name(request, &difference) {
                Some(name) => *self.seen.entry(name).or_default() += 1,
                None => {
                    let described = describe(kind, request, &difference);
                    let key = format!("{kind} {} {}", request.path, difference.place);
                    self.found.entry(key).or_insert((described, 0)).1 += 1;
                }
            }
        }
    }

    fn finish(self, writes: usize) -> Result<String> {
        let count: usize = self.found.values().map(|(_, count)| count).sum();
        let mut shown: Vec<_> = self
            .found
            .into_values()
            .take(SHOWN)
            .map(|(text, count)| format!("{count} x {text}"))
            .collect();
        for name in differences::names().filter(|name| !self.seen.contains_key(name)) {
            shown.push(format!("the difference {name:?} was not seen: it is none any more"));
        }
        ensure!(shown.is_empty(), "{count} differences:\n{}", shown.join("\n"));
        Ok(format!(
            "{} answers compared after {} writes; {} differences on purpose were seen",
            self.compared,
            2 * writes,
            self.seen.len()
        ))
    }
}

fn describe(kind: &str, request: &Request, difference: &Difference) -> String {
    let short = |value: &serde_json::Value| value.to_string().chars().take(200).collect::<String>();
    let (kinto, cumulo) = (short(&difference.kinto), short(&difference.cumulo));
    format!("{kind}: {request}\n  {}: Kinto {kinto}, Cumulo {cumulo}", difference.place)
}

/// Where the next page is, without host and version.
fn next_page(response: &Response) -> Result<Option<String>> {
    let Some(url) = response.header("next-page") else { return Ok(None) };
    let (_, path) = url.split_once("/v1").with_context(|| format!("Next-Page: {url}"))?;
    Ok(Some(path.to_owned()))
}
