//! Changes a group and the permissions of a collection; what was acknowledged holds at once, at
//! every copy.

use anyhow::{Context, Result, ensure};
use rand::Rng;
use serde_json::{Value, json};

use super::client::Client;
use super::fleet::Fleet;
use crate::http::{Connection, Response};
use crate::journal::BUCKET;

/// `Authorization` of another user.
const GUEST: (&str, &str) = ("Authorization", "Basic Ym9iOnMzY3IzdA==");

fn group() -> String {
    format!("{BUCKET}/groups/guests")
}

fn collection() -> String {
    format!("{BUCKET}/collections/private")
}

/// The rights that were acknowledged last.
pub(super) struct Rights {
    guest: String,
    /// Whether the guest is a member of the group.
    is_member: bool,
    /// Whether the group may read the collection.
    is_open: bool,
}

impl Rights {
    pub(super) fn set_up(connection: &mut Connection) -> Result<Self> {
        let hello = connection.request("GET", "/v1/", &[GUEST], None)?.succeeded()?;
        let guest = hello.json()?["user"]["id"].as_str().context("no user id")?.to_owned();
        let rights = Self { guest, is_member: false, is_open: false };
        connection.json("PUT", &group(), Some(&rights.group()))?.succeeded()?;
        connection.json("PUT", &collection(), Some(&rights.collection()))?.succeeded()?;
        Ok(rights)
    }

    fn group(&self) -> Value {
        let members = if self.is_member { vec![&self.guest] } else { Vec::new() };
        json!({"data": {"members": members}})
    }

    fn collection(&self) -> Value {
        let uri = group().replace("/v1", "");
        let readers = if self.is_open { vec![uri] } else { Vec::new() };
        json!({"data": {"open": self.is_open}, "permissions": {"read": readers}})
    }

    /// What was acknowledged is there.
    pub(super) fn check(&self, connection: &mut Connection) -> Result<()> {
        let found = connection.json("GET", &group(), None)?.succeeded()?.json()?;
        let expected = self.group();
        ensure!(found["data"]["members"] == expected["data"]["members"], "the group is {found}");
        let found = connection.json("GET", &collection(), None)?.succeeded()?.json()?;
        let readers = &found["permissions"]["read"];
        let count = readers.as_array().map_or(0, Vec::len);
        ensure!(count == usize::from(self.is_open), "the collection is {found}");
        Ok(())
    }
}

/// Change rights until writing is over. Returns how many changes were acknowledged.
pub(super) fn keep(fleet: &Fleet, rights: &mut Rights, seed: u64) -> Result<usize> {
    let mut client = Client::new(fleet, seed);
    let mut acknowledged = 0;
    while fleet.is_writing() {
        let (path, body) = if client.random.random_bool(0.5) {
            rights.is_member = !rights.is_member;
            (group(), rights.group())
        } else {
            rights.is_open = !rights.is_open;
            (collection(), rights.collection())
        };
        // Without an answer it is unknown what holds; the next write comes after it in any case.
        while client
            .json("PUT", &path, Some(&body))?
            .map(Response::succeeded)
            .transpose()?
            .is_none()
        {}
        acknowledged += 1;
        for _ in 0..fleet.len() {
            let path = format!("{}/records", collection());
            let Some(answer) = client.request("GET", &path, &[GUEST], None)? else { continue };
            let expected = if rights.is_member && rights.is_open { 200 } else { 403 };
            ensure!(answer.status == expected, "{} instead of {expected}", answer.status);
        }
    }
    Ok(acknowledged)
}
