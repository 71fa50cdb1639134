//! The table `accounts.txt`: every request by everybody.

use std::{collections::BTreeSet, sync::Arc};

use cumulo_core::{
    object::List,
    store::{Access, Outcome},
};
use http::Method;
use protocol_tests::{App, Kind, Parts, Response};

use crate::{none, rehearsal::Rehearsal, world::content};

const SETTINGS: [(&str, &str); 7] = [
    ("includes", "accounts"),
    ("multiauth.policies", "account"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
    ("account_create_principals", "system.Everyone"),
    ("account_write_principals", "account:admin account:chief"),
    ("account_read_principals", "account:admin"),
    // The table has more wrong passwords than one may send.
    ("account_login_free_failures", "0"),
];

const ACCOUNTS: [&str; 6] = ["admin", "alice", "bob", "chief", "open", "rita"];

pub(crate) fn accounts_are_for_their_owners_and_administrators(kind: Kind) {
    let mut rehearsal = None;
    let app = Parts::new(&SETTINGS).on_wrapped(kind, |store| {
        Arc::clone(rehearsal.insert(Arc::new(Rehearsal::of(store)))) as _
    });
    let rehearsal = rehearsal.expect("a store was opened");
    sign_up(&app);
    rehearsal.begin();
    let before = content(&app);
    let mut lines = include_str!("accounts.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let people: Vec<_> = lines.next().expect("a head").split_whitespace().skip(2).collect();
    let mut problems = Vec::new();
    for line in lines {
        let (cells, body) = line.split_at(line.find('{').unwrap_or(line.len()));
        let mut cells = cells.split_whitespace();
        let method: Method = cells.next().expect("a method").parse().expect("a method");
        let path = cells.next().expect("a path");
        for (person, cell) in people.iter().zip(cells) {
            let client = match *person {
                "anonymous" => app.anonymous(),
                "wrong" => app.login("alice", "wrong"),
                name => app.login(name, name),
            };
            let response = client.send(&method, path, body.as_bytes().to_vec());
            let after = rehearsal.take().unwrap_or_else(|| before.clone());
            let gone = ACCOUNTS.into_iter().filter(|name| {
                let uri = format!("/accounts/{name}");
                after.get(&uri).is_none_or(|text| text.contains("true {\"deleted\":true}"))
            });
            let gone = gone.collect();
            let problem = problem(cell, &method, path, &response, &gone).or_else(|| {
                let changes = response.status < 300 && !method.is_safe() && body != POSTED_AGAIN;
                (changes == (after == before)).then(|| "has changed what it must not".to_owned())
            });
            problems.extend(problem.map(|it| format!("{line} by {person}: {it}")));
        }
    }
    none(&problems);
}

/// A POST of what is there changes nothing.
const POSTED_AGAIN: &str = r#"{"data":{"id":"alice","password":"x"}}"#;

/// What is wrong with an answer, if `gone` are the accounts that were deleted.
fn problem(
    cell: &str,
    method: &Method,
    path: &str,
    response: &Response,
    gone: &BTreeSet<&str>,
) -> Option<String> {
    let (status, named) = cell.split_once(':').unwrap_or((cell, ""));
    let text = response.json.to_string();
    if response.status.to_string() != status {
        return Some(format!("{} {text}", response.status));
    }
    if text.contains("$2b$") || (response.status >= 400 && text.contains("mark-of")) {
        return Some(format!("tells {text}"));
    }
    let all = ACCOUNTS.into();
    let named: BTreeSet<_> = if named == "*" { all } else { named.split_terminator(',').collect() };
    if path == "/accounts" && response.status == 200 && *method != Method::HEAD && !named.is_empty()
    {
        let ids: BTreeSet<_> = response.ids().into_iter().collect();
        if ids != named {
            return Some(format!("names {ids:?}"));
        }
    }
    let expected = match *method {
        Method::DELETE if response.status == 200 && path == "/accounts" => named,
        Method::DELETE if response.status == 200 => path.rsplit('/').take(1).collect(),
        _ => BTreeSet::new(),
    };
    (*gone != expected).then(|| format!("deletes {gone:?}"))
}

/// Makes the accounts, with hashes that are fast to check. Passwords are names.
fn sign_up(app: &App) {
    let accounts = ACCOUNTS.map(|name| {
        let hash = bcrypt::hash(name, 4).expect("a valid cost");
        (name, format!(r#"{{"password":"{hash}","mark":"mark-of-{name}"}}"#))
    });
    let put = app.store().transact(Access::Write, move |tx| {
        for (name, data) in &accounts {
            let mut acl = cumulo_core::object::Acl::default();
            acl.add("write", &format!("account:{name}"));
            match *name {
                "alice" => acl.add("read", "account:rita"),
                "open" => acl.add("read", "system.Everyone"),
                _ => {}
            }
            tx.put(&List::new(*name, "account"), name, None, data, Some(&acl))?;
        }
        Ok((Outcome::Commit, ()))
    });
    app.wait(put).expect("the store works");
}
