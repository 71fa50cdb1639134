//! Who may send a request: Kinto's rules, as its documentation tells them, and nothing of ours.

use std::collections::{BTreeMap, BTreeSet};

/// Somebody, and everything that gives them a right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    /// What they are in messages; who is logged in has it as a name too.
    pub(crate) name: String,
    /// The user id; none of who is not logged in.
    pub(crate) id: Option<String>,
    /// URIs of living objects, and permissions given there to them, to a group of theirs, or to all.
    pub(crate) holds: BTreeSet<(String, String)>,
    /// The setting that names them, without `_principals`.
    pub(crate) setting: String,
}

/// One line of `requests.txt`.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) takes: String,
    pub(crate) status: u16,
    /// A header, or the type of a patch.
    pub(crate) header: Option<(String, String)>,
    pub(crate) body: String,
}

impl Line {
    /// All that the file lists.
    pub(crate) fn all() -> Vec<Self> {
        let lines = include_str!("requests.txt").lines().filter(|line| !is_comment(line));
        lines.map(Self::parse).collect()
    }

    fn parse(line: &str) -> Self {
        let (request, body) = line.split_at(line.find(['{', '[']).unwrap_or(line.len()));
        let mut words = request.split_whitespace().map(str::to_owned);
        let mut next = || words.next().unwrap_or_else(|| panic!("{line}: a word is missing"));
        let (method, path, takes) = (next(), next(), next());
        let status = next().parse().unwrap_or_else(|_| panic!("{line}: no status"));
        let header = words.next().map(|word| match word.split_once(':') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => ("Content-Type".to_owned(), format!("application/{word}")),
        });
        let writes = ["POST", "PUT", "PATCH"].contains(&method.as_str());
        let default = if writes { r#"{"data":{"changed":true}}"# } else { "" };
        let body = if body.is_empty() { default } else { body }.to_owned();
        Self { method, path, takes, status, header, body }
    }

    /// The URI of the object or list.
    pub(crate) fn uri(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Whether its body is of a type of its own, as in batches it can't be.
    pub(crate) fn is_typed(&self) -> bool {
        self.header.as_ref().is_some_and(|(name, _)| name == "Content-Type")
    }

    /// The id in the body of a POST.
    pub(crate) fn posted_id(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        Some(body.get("data")?.get("id")?.as_str()?.to_owned())
    }

    /// The object that is meant.
    pub(crate) fn object(&self) -> String {
        match self.posted_id() {
            Some(id) => format!("{}/{id}", self.uri()),
            None => self.uri().to_owned(),
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

/// What somebody may do with what a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Refused,
    Allowed,
    /// A list, and of it these objects.
    Only(BTreeSet<String>),
}

/// `rights.txt`, and the objects that are there.
pub(crate) struct Model {
    rights: BTreeMap<&'static str, Vec<(&'static str, &'static str)>>,
    objects: BTreeSet<String>,
}

impl Model {
    pub(crate) fn new(objects: BTreeSet<String>) -> Self {
        let lines = include_str!("rights.txt").lines().filter(|line| !is_comment(line));
        let right = |word: &'static str| word.split_once('.').expect("kind.permission");
        let rights = lines.map(|line| {
            let (wanted, given) = line.split_once(' ').expect("two columns");
            (wanted, given.split_whitespace().map(right).collect())
        });
        Self { rights: rights.collect(), objects }
    }

    /// Whether `person` may send the request, and what of a list they get.
    pub(crate) fn verdict(&self, person: &Person, line: &Line) -> Verdict {
        let object = line.object();
        let (parent, kind) = parent_and_kind(if is_list(&object) { "" } else { &object });
        let (list_parent, list_kind) = parent_and_kind_of_list(line.uri());
        let allowed = match line.takes.as_str() {
            "anybody" => true,
            "see" | "write" => self.may(person, &line.takes, kind, &object),
            "create" if is_list(&object) => self.may_create(person, list_kind, list_parent),
            "create" => self.may_create(person, kind, parent),
            "find" if parent.is_empty() => is_set(person, kind, "write"),
            "find" => self.holds(person, (kind_of(parent), "read"), kind, parent),
            "list" => return self.list(person, "read", list_kind, list_parent),
            "clear" => return self.list(person, "write", list_kind, list_parent),
            setting => setting.strip_prefix('=') == Some(&person.setting),
        };
        if allowed { Verdict::Allowed } else { Verdict::Refused }
    }

    /// Whether `person` may `see` or `write` an object, which need not exist.
    pub(crate) fn may(&self, person: &Person, wanted: &str, kind: &str, object: &str) -> bool {
        self.holds(person, (kind, wanted), kind, object)
    }

    fn may_create(&self, person: &Person, kind: &str, parent: &str) -> bool {
        if parent.is_empty() {
            return is_set(person, kind, "create");
        }
        let wanted = format!("{kind}:create");
        self.holds(person, (kind_of(parent), &wanted), kind, parent)
    }

    /// All of a list, or what is shared of it, or nothing for those who may create in it.
    fn list(&self, person: &Person, wanted: &str, kind: &str, parent: &str) -> Verdict {
        let children = |uri: &&String| parent_and_kind(uri) == (parent, kind);
        let children = self.objects.iter().filter(children);
        let all = match parent {
            "" => is_set(person, kind, wanted),
            _ => self.holds(person, (kind_of(parent), wanted), kind, parent),
        };
        if all {
            return Verdict::Only(children.cloned().collect());
        }
        let own = if wanted == "read" { "see" } else { wanted };
        let shared = children.filter(|uri| self.holds_itself(person, (kind, own), uri));
        let shared: BTreeSet<_> = shared.cloned().collect();
        let create = format!("{kind}:create");
        let creates = person.holds.contains(&(parent.to_owned(), create.clone()))
            || is_set(person, kind, &create);
        if shared.is_empty() && !creates { Verdict::Refused } else { Verdict::Only(shared) }
    }

    /// Whether a setting, or a permission on the object or on what holds it, gives what is wanted.
    /// `kind` is what the request is about.
    fn holds(&self, person: &Person, wanted: (&str, &str), kind: &str, object: &str) -> bool {
        self.givers(wanted).iter().any(|(on, permission)| {
            is_set(person, kind, permission)
                || above(object, on).is_some_and(|uri| {
                    person.holds.contains(&(uri.to_owned(), (*permission).to_owned()))
                })
        })
    }

    /// The same by permissions on the object itself only.
    fn holds_itself(&self, person: &Person, wanted: (&str, &str), object: &str) -> bool {
        self.givers(wanted).iter().any(|(on, permission)| {
            *on == wanted.0 && person.holds.contains(&(object.to_owned(), (*permission).to_owned()))
        })
    }

    fn givers(&self, (kind, permission): (&str, &str)) -> &[(&'static str, &'static str)] {
        let wanted = format!("{kind}.{permission}");
        self.rights.get(wanted.as_str()).unwrap_or_else(|| panic!("rights.txt lacks {wanted}"))
    }
}

/// Whether the setting of `person` gives `permission` in requests about `kind`.
fn is_set(person: &Person, kind: &str, permission: &str) -> bool {
    let permission = permission.replace(':', "_");
    let is_its_own = permission.starts_with(kind);
    let setting = if is_its_own { permission } else { format!("{kind}_{permission}") };
    person.setting == setting
}

/// Whether a URI is that of a list.
pub(crate) fn is_list(uri: &str) -> bool {
    uri.matches('/').count() % 2 == 1
}

/// `("/buckets/b", "group")` of `/buckets/b/groups/g`
pub(crate) fn parent_and_kind(uri: &str) -> (&str, &str) {
    parent_and_kind_of_list(uri.rsplit_once('/').unwrap_or_default().0)
}

/// `("/buckets/b", "group")` of `/buckets/b/groups`
fn parent_and_kind_of_list(uri: &str) -> (&str, &str) {
    let (parent, plural) = uri.rsplit_once('/').unwrap_or_default();
    (parent, plural.strip_suffix('s').unwrap_or(plural))
}

pub(crate) fn kind_of(uri: &str) -> &str {
    parent_and_kind(uri).1
}

/// What of `kind` is, or holds, the object.
fn above<'a>(mut uri: &'a str, kind: &str) -> Option<&'a str> {
    while !uri.is_empty() {
        if kind_of(uri) == kind {
            return Some(uri);
        }
        uri = parent_and_kind(uri).0;
    }
    None
}
