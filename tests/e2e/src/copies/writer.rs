//! Creates, updates and deletes records of its own, alone and in batches in which other items are
//! refused.

use anyhow::{Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::client::Client;
use super::fleet::Fleet;
use crate::journal::{Change, Clocks, Journal, State, records_path, responses};

/// An item of a batch, and how it should be answered.
struct Item {
    request: Value,
    /// None if it is a change.
    refusal: Option<u64>,
}

/// Write until writing is over. Returns how many changes were acknowledged and how many items
/// refused.
pub(super) fn write(
    fleet: &Fleet,
    journal: &mut Journal,
    clocks: &Clocks,
    seed: u64,
) -> Result<(usize, usize)> {
    let mut client = Client::new(fleet, seed);
    let (mut acknowledged, mut refused) = (0, 0);
    while fleet.is_writing() {
        let changes = journal.choose(&mut client.random);
        let items = items(&changes, journal, &mut client.random);
        journal.begin(&changes);
        let known_before = clocks.latest();
        let Some(results) = send(&mut client, &items)? else { continue };
        acknowledged += journal.acknowledge(&results, known_before, clocks)?;
        refused += items.len() - results.len();
    }
    Ok((acknowledged, refused))
}

/// The changes, and if there are several also what must be refused.
fn items(changes: &[Change], journal: &Journal, random: &mut StdRng) -> Vec<Item> {
    let mut items = Vec::new();
    for change in changes {
        if changes.len() > 1
            && random.random_bool(0.2)
            && let Some(item) = refusable(changes, journal, random)
        {
            items.push(item);
        }
        items.push(Item { request: journal.request(change, random), refusal: None });
    }
    items
}

/// A request that fails, whatever happens before it in the batch.
fn refusable(changes: &[Change], journal: &Journal, random: &mut StdRng) -> Option<Item> {
    let missing = format!("{}/missing", records_path(random.random_range(0..super::WRITTEN)));
    if random.random_bool(0.3) {
        let body = json!({"data": {"never": true}});
        let request = json!({"method": "PATCH", "path": missing, "body": body});
        return Some(Item { request, refusal: Some(404) });
    }
    // A record that exists and that the batch does not touch.
    let is_touched = |(collection, id): &(usize, String)| {
        changes.iter().any(|it| it.collection == *collection && it.id.as_ref() == Some(id))
    };
    let place = journal.present().into_iter().find(|place| !is_touched(place))?;
    let path = records_path(place.0);
    let State::Present { modified, .. } = journal.records.get(place)? else { return None };
    let (request, status) = if random.random_bool(0.5) {
        let headers = json!({"If-None-Match": "*"});
        let path = format!("{path}/{}", place.1);
        (json!({"method": "PUT", "path": path, "headers": headers, "body": {"data": {}}}), 412)
    } else {
        // Its timestamp is taken.
        let data = json!({"never": true, "last_modified": modified});
        (json!({"method": "POST", "path": path, "body": {"data": data}}), 409)
    };
    Some(Item { request, refusal: Some(status) })
}

/// Returns the objects that result from the changes. None if nothing is known.
fn send(client: &mut Client<'_>, items: &[Item]) -> Result<Option<Vec<Value>>> {
    if let [Item { request, .. }] = items {
        let (method, path) = (&request["method"], &request["path"]);
        let (method, path) = (method.as_str().unwrap_or(""), path.as_str().unwrap_or(""));
        let Some(response) = client.json(method, path, request.get("body"))? else {
            return Ok(None);
        };
        return Ok(Some(vec![response.succeeded()?.json()?["data"].take()]));
    }
    let requests: Vec<&Value> = items.iter().map(|item| &item.request).collect();
    let body = json!({"requests": requests});
    let Some(response) = client.json("POST", "/v1/batch", Some(&body))? else { return Ok(None) };
    let mut results = Vec::new();
    for (item, mut response) in items.iter().zip(responses(&response.succeeded()?)?) {
        let status = response["status"].as_u64().unwrap_or_default();
        match item.refusal {
            Some(expected) => ensure!(status == expected, "{}: {response}", item.request),
            None => {
                ensure!((200..300).contains(&status), "{}: {response}", item.request);
                results.push(response["body"]["data"].take());
            }
        }
    }
    Ok(Some(results))
}
