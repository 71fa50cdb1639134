//! What there is, and who has which right on it.

use std::{collections::BTreeSet, sync::Arc};

use cumulo_core::store::{Access, Outcome};
use protocol_tests::{App, Client, Kind, Parts};
use serde_json::{Value, json};

use crate::{
    model::{Model, Person, kind_of},
    rehearsal::{Content, Rehearsal, read},
};

/// What is there, parents first. For each object and each of its permissions there is somebody who
/// has that, and nothing else. `_` once was taken for any letter.
const OBJECTS: [&str; 14] = [
    "/buckets/a_b",
    "/buckets/axb",
    "/buckets/a_b/groups/g_g",
    "/buckets/a_b/groups/gxg",
    "/buckets/axb/groups/g_g",
    "/buckets/a_b/collections/c_c",
    "/buckets/a_b/collections/cxc",
    "/buckets/a_b/collections/open",
    "/buckets/axb/collections/c_c",
    "/buckets/a_b/collections/c_c/records/r_r",
    "/buckets/a_b/collections/c_c/records/rxr",
    "/buckets/a_b/collections/cxc/records/r_r",
    "/buckets/axb/collections/c_c/records/r_r",
    "/buckets/axb/collections/c_c/records/rxr",
];

/// What is there too, with names that begin like others. Of those who have rights here, one who may
/// write will do.
const LONGER: [&str; 4] = [
    "/buckets/a_bc",
    "/buckets/a_bc/collections/c_c",
    "/buckets/a_b/collections/c_cc",
    "/buckets/a_b/collections/c_cc/records/r_r",
];

/// What was there. Those who had rights on it have none any more.
const GONE: [&str; 6] = [
    "/buckets/gone",
    "/buckets/gone/collections/c_c",
    "/buckets/a_b/groups/gone",
    "/buckets/a_b/collections/gone",
    "/buckets/a_b/collections/gone/records/r_r",
    "/buckets/a_b/collections/c_c/records/gone",
];

/// Groups, a member of each, and what the group may do where.
const GROUPS: [(&str, &str, &str, &str); 5] = [
    ("/buckets/a_b/groups/staff", "a writer by group", "write", "/buckets/a_b"),
    (
        "/buckets/axb/groups/guests",
        "a reader by group of another bucket",
        "read",
        "/buckets/a_b/collections/c_c",
    ),
    (
        "/buckets/a_b/groups/creators",
        "a creator by group",
        "record:create",
        "/buckets/a_b/collections/c_c",
    ),
    ("/buckets/axb/groups/staff", "a member of a group of the same name", "", ""),
    ("/buckets/a_b/groups/gone", "a member of a deleted group", "write", "/buckets/a_b"),
];

/// Records that are shared with many, with what and whom.
const OPEN: [(&str, &str, &str); 3] = [
    ("/buckets/a_b/collections/open/records/everyone", "read", "system.Everyone"),
    ("/buckets/a_b/collections/open/records/members", "write", "system.Authenticated"),
    ("/buckets/a_b/collections/open/records/group", "read", "/buckets/axb/groups/everybody"),
];

/// Settings that name somebody, without `_principals`.
const SETTINGS: [&str; 17] = [
    "bucket_create",
    "bucket_read",
    "bucket_write",
    "bucket_collection_create",
    "bucket_group_create",
    "collection_create",
    "collection_read",
    "collection_write",
    "collection_record_create",
    "group_create",
    "group_read",
    "group_write",
    "record_create",
    "record_read",
    "record_write",
    "user-data_delete",
    "counters_read",
];

/// Plugins with endpoints. The provider can't be reached.
const PLUGINS: [(&str, &str); 6] = [
    ("includes", "default_bucket flush admin counters openid prometheus"),
    ("multiauth.policies", "basicauth away"),
    ("multiauth.policy.away.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
    ("multiauth.policy.away.issuer", "http://127.0.0.1:9"),
    ("multiauth.policy.away.client_id", "us"),
    ("multiauth.policy.away.client_secret", "secret"),
];

/// The permissions that objects of a kind give.
fn permissions(kind: &str) -> &'static [&'static str] {
    match kind {
        "bucket" => &["read", "write", "collection:create", "group:create"],
        "collection" => &["read", "write", "record:create"],
        _ => &["read", "write"],
    }
}

pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) rehearsal: Arc<Rehearsal>,
    pub(crate) people: Vec<Person>,
    pub(crate) model: Model,
    /// What is stored.
    pub(crate) content: Content,
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let ids = App::default();
        let settings: Vec<_> = SETTINGS
            .iter()
            .map(|name| (format!("{name}_principals"), ids.id_of(&setting_holder(name))))
            // To make the world takes the right to.
            .map(|(name, id)| match name.as_str() {
                "bucket_create_principals" => (name, format!("{id} {}", ids.id_of("creator"))),
                _ => (name, id),
            })
            .collect();
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(PLUGINS)
            .collect();
        let mut rehearsal = None;
        let app = Parts::new(&settings).on_wrapped(kind, |store| {
            Arc::clone(rehearsal.insert(Arc::new(Rehearsal::of(store)))) as _
        });
        let rehearsal = rehearsal.expect("a store was opened");
        make(&app);
        rehearsal.begin();
        let alive = OBJECTS.into_iter().chain(LONGER).chain(OPEN.map(|(uri, ..)| uri));
        let groups = GROUPS.iter().map(|(uri, ..)| *uri).filter(|uri| !GONE.contains(uri));
        let alive = alive.chain(groups).chain(["/buckets/axb/groups/everybody"]);
        let model = Model::new(alive.map(str::to_owned).collect());
        let people = people(&app);
        let content = content(&app);
        Self { app, rehearsal, people, model, content }
    }

    /// Sends requests as `person`.
    pub(crate) fn client(&self, person: &Person) -> Client<'_> {
        if person.id.is_none() { self.app.anonymous() } else { self.app.user(&person.name) }
    }
}

/// Everything that is stored.
pub(crate) fn content(app: &App) -> Content {
    let read = app.store().transact(Access::Scan, |tx| Ok((Outcome::Rollback, read(tx)?)));
    app.wait(read).expect("the store works")
}

fn setting_holder(setting: &str) -> String {
    format!("{setting} by setting")
}

fn holder(uri: &str, permission: &str) -> String {
    format!("{permission} on {uri}")
}

/// The text that tells where data comes from.
pub(crate) fn mark(uri: &str) -> String {
    format!("mark-of-{uri}")
}

/// A principal that tells where a list of permissions comes from.
pub(crate) fn acl_mark(uri: &str) -> String {
    format!("acl-of-{uri}")
}

fn make(app: &App) {
    let creator = app.user("creator");
    let groups = GROUPS.map(|(uri, member, ..)| (uri, app.id_of(member)));
    let everybody = ("/buckets/axb/groups/everybody", "system.Authenticated".to_owned());
    for uri in OBJECTS.into_iter().chain(LONGER).chain(GONE) {
        put(&creator, uri, &object(app, uri));
    }
    for (uri, member) in groups.into_iter().chain([everybody]) {
        put(&creator, uri, &json!({"data": {"mark": mark(uri), "members": [member]}}));
    }
    for (uri, permission, principal) in OPEN {
        let permissions = json!({permission: [principal, acl_mark(uri)]});
        put(&creator, uri, &json!({"data": {"mark": mark(uri)}, "permissions": permissions}));
    }
    for uri in GONE.iter().rev() {
        creator.delete(uri).expect(200);
    }
    // Nobody was to learn of those who made all this.
    let creator = app.id_of("creator");
    let forget = app.store().transact(Access::Write, move |tx| {
        for grant in tx.granted(std::slice::from_ref(&creator), None)? {
            let mut acl = cumulo_core::object::Acl::clone(&grant.acl);
            acl.remove_principal(&creator);
            tx.set_acl(&grant.list, &grant.id, &acl)?;
        }
        Ok((Outcome::Commit, ()))
    });
    app.wait(forget).expect("the store works");
}

fn put(client: &Client<'_>, uri: &str, body: &Value) {
    let status = client.put(uri, body).status;
    assert!([200, 201].contains(&status), "{uri}: {status}");
}

/// An object that gives each of its permissions to somebody, and to the groups that have it.
fn object(app: &App, uri: &str) -> Value {
    let mut acl = serde_json::Map::new();
    for permission in permissions(kind_of(uri)) {
        let groups = GROUPS.iter().filter(|it| (it.2, it.3) == (permission, uri));
        let mut principals: Vec<_> = groups.map(|it| it.0.to_owned()).collect();
        principals.push(app.id_of(&holder(uri, permission)));
        principals.push(acl_mark(uri));
        acl.insert((*permission).to_owned(), json!(principals));
    }
    json!({"data": {"mark": mark(uri)}, "permissions": acl})
}

/// Everybody who sends requests.
fn people(app: &App) -> Vec<Person> {
    let mut people = vec![person(app, "a stranger", &[], "")];
    for uri in OBJECTS {
        for permission in permissions(kind_of(uri)) {
            people.push(person(app, &holder(uri, permission), &[(uri, permission)], ""));
        }
    }
    for uri in LONGER {
        people.push(person(app, &holder(uri, "write"), &[(uri, "write")], ""));
    }
    for uri in GONE {
        people.push(person(app, &holder(uri, "write"), &[], ""));
    }
    for (group, member, permission, uri) in GROUPS {
        let lost = GONE.contains(&group) || permission.is_empty();
        let held: &[_] = if lost { &[] } else { &[(uri, permission)] };
        people.push(person(app, member, held, ""));
    }
    for setting in SETTINGS {
        people.push(person(app, &setting_holder(setting), &[], setting));
    }
    let everyone = OPEN.iter().filter(|it| it.2 == "system.Everyone");
    let holds: BTreeSet<_> = everyone.map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
    people.push(Person { name: "anonymous".into(), holds, ..Person::default() });
    people
}

/// Somebody who is logged in, and holds this besides what all who are logged in do.
fn person(app: &App, name: &str, held: &[(&str, &str)], setting: &str) -> Person {
    let open = OPEN.iter().map(|it| (it.0, it.1));
    let holds = held.iter().copied().chain(open);
    Person {
        name: name.to_owned(),
        id: Some(app.id_of(name)),
        holds: holds.map(|(uri, permission)| (uri.to_owned(), permission.to_owned())).collect(),
        setting: setting.to_owned(),
    }
}
