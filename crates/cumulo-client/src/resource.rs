//! Where: buckets, groups, collections, records and accounts, each with the same verbs.

use std::{marker::PhantomData, ops::Deref};

use cumulo_wire::is_name;
use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Object, Permissions, Timestamp,
    call::Call,
    delete::{Delete, DeleteMany},
    get::Get,
    list::List,
    object,
    patch::Changes,
    transport::{Direct, Transport},
    write::{Condition, Write},
};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Account,
    Bucket,
    Group,
    Collection,
    Record,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Bucket => "bucket",
            Self::Group => "group",
            Self::Collection => "collection",
            Self::Record => "record",
        }
    }

    /// What a server must have for such objects.
    fn capability(self) -> Option<&'static str> {
        (self == Self::Account).then_some("accounts")
    }

    /// Whether a server takes this as an id. Names of accounts may have `@` and dots.
    fn accepts(self, id: &str) -> bool {
        match self {
            Self::Account => {
                let is_other = |c: char| !c.is_alphanumeric() && !"-_.@+".contains(c);
                !id.is_empty() && !id.contains(is_other)
            }
            _ => is_name(id),
        }
    }

    /// Says why a server does not take this as an id.
    pub(crate) fn check(self, id: &str) -> Result<(), String> {
        if self.accepts(id) {
            return Ok(());
        }
        Err(format!(
            "{id:?} is not a valid id of a {}: use letters, digits, '-' and '_', beginning with a \
             letter or digit",
            self.name()
        ))
    }
}

/// All objects of one kind in one place: the buckets of a server, the records of a collection, …
///
/// `T` is what the caller makes of their data: [`Resource::of`] chooses it, and without it is plain
/// JSON.
#[derive(Clone, Debug)]
pub struct Resource<X, T = Value> {
    transport: X,
    kind: Kind,
    /// The path of what holds them, with their kind: `/buckets/blog/collections`.
    path: String,
    problem: Option<String>,
    data: PhantomData<fn() -> T>,
}

impl<X: Transport> Resource<X> {
    pub(crate) fn new(transport: X, kind: Kind, parent: &str) -> Self {
        let path = format!("{parent}/{}s", kind.name());
        Self { transport, kind, path, problem: None, data: PhantomData }
    }

    pub(crate) fn impossible(transport: X, kind: Kind, problem: &str) -> Self {
        Self { problem: Some(problem.to_owned()), ..Self::new(transport, kind, "") }
    }
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> Resource<X, T> {
    /// The same objects, with data of another type.
    pub fn of<U: DeserializeOwned + Send + 'static>(&self) -> Resource<X, U> {
        Resource {
            transport: self.transport.clone(),
            kind: self.kind,
            path: self.path.clone(),
            problem: self.problem.clone(),
            data: PhantomData,
        }
    }

    /// The path of the list, below the URL of the server, such as `/buckets/blog/collections`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The URL of the list.
    pub fn url(&self) -> String
    where
        X: Direct,
    {
        format!("{}{}", self.transport.connection().server(), self.path)
    }

    pub(crate) fn transport(&self) -> &X {
        &self.transport
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// A call to the list as a whole.
    pub(crate) fn call(&self, method: Method) -> Call {
        let (problem, capability) = (self.problem.clone(), self.kind.capability());
        Call { capability, problem, ..Call::new(method, &self.path) }
    }

    /// One object.
    pub fn one(&self, id: impl AsRef<str>) -> One<X, T> {
        One::new(self.of(), id.as_ref())
    }

    /// The object with this id.
    pub fn get(&self, id: impl AsRef<str>) -> Get<X, T> {
        self.one(id).get()
    }

    /// The objects, newest first.
    pub fn list(&self) -> List<X, Object<T>> {
        List::new(self.transport.clone(), self.call(Method::GET))
    }

    /// Creates an object. Its id is [`Write::id`], that in the data, or a new one.
    ///
    /// An object that is there already is not touched: the call fails with
    /// [`Error::Conflict`](crate::Error::Conflict).
    pub fn create(&self, data: impl Serialize) -> Write<X, T> {
        Write::new(self.of(), None, Condition::Absent).data(data)
    }

    /// Replaces an object, or creates it. Its id is [`Write::id`], or that in the data.
    ///
    /// If the data has a `last_modified`, as it was read from the server, an object that was changed
    /// since is not touched: the call fails with [`Error::Conflict`](crate::Error::Conflict).
    pub fn update(&self, data: impl Serialize) -> Write<X, T> {
        Write::new(self.of(), None, Condition::Unchanged).data(data)
    }

    /// Replaces an object that was read before, with its permissions if it has them. If it was
    /// changed since, the call fails with [`Error::Conflict`](crate::Error::Conflict).
    pub fn save(&self, object: &Object<impl Serialize>) -> Write<X, T> {
        let write = Write::new(self.of(), Some(&object.id), Condition::Unchanged);
        let write = write.data(&object.data).if_match(object.last_modified);
        match &object.permissions {
            Some(permissions) => write.permissions(permissions.clone()),
            None => write,
        }
    }

    /// Changes a part of an object.
    pub fn patch(&self, id: impl AsRef<str>, changes: impl Into<Changes>) -> Write<X, T> {
        self.one(id).patch(changes)
    }

    /// Deletes an object.
    pub fn delete(&self, id: impl AsRef<str>) -> Delete<X> {
        self.one(id).delete()
    }

    /// Deletes all objects, or those that pass the filters.
    pub fn delete_many(&self) -> DeleteMany<X> {
        DeleteMany::new(self.transport.clone(), self.call(Method::DELETE))
    }

    /// When one of the objects was changed last.
    pub fn timestamp(&self) -> X::Sent<Timestamp> {
        let call = self.call(Method::HEAD);
        self.transport
            .send(call, |response| response.timestamp().ok_or_else(|| response.lacks("ETag")))
    }
}

/// One object.
#[derive(Clone, Debug)]
pub struct One<X, T = Value> {
    resource: Resource<X, T>,
    id: String,
    path: String,
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> One<X, T> {
    pub(crate) fn new(mut resource: Resource<X, T>, id: &str) -> Self {
        if let Err(problem) = resource.kind.check(id) {
            resource.problem.get_or_insert(problem);
        }
        let path = format!("{}/{id}", resource.path);
        Self { resource, id: id.to_owned(), path }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its path below the URL of the server, such as `/buckets/blog`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its URL.
    pub fn url(&self) -> String
    where
        X: Direct,
    {
        format!("{}{}", self.transport().connection().server(), self.path)
    }

    pub(crate) fn transport(&self) -> &X {
        &self.resource.transport
    }

    pub(crate) fn kind(&self) -> Kind {
        self.resource.kind
    }

    pub(crate) fn problem(&self) -> Option<&String> {
        self.resource.problem.as_ref()
    }

    /// A call to a path below the object, such as `/attachment`; to itself if it is empty.
    pub(crate) fn call(&self, method: Method, below: &str) -> Call {
        let path = format!("{}{below}", self.path);
        Call { path, ..self.resource.call(method) }
    }

    /// The objects of one kind that are in it.
    fn inside(&self, kind: Kind) -> Resource<X> {
        let problem = self.resource.problem.clone();
        Resource { problem, ..Resource::new(self.transport().clone(), kind, &self.path) }
    }

    /// The object with data of another type.
    pub fn of<U: DeserializeOwned + Send + 'static>(&self) -> One<X, U> {
        One { resource: self.resource.of(), id: self.id.clone(), path: self.path.clone() }
    }

    /// What it is.
    pub fn get(&self) -> Get<X, T> {
        Get::new(self.transport().clone(), self.call(Method::GET, ""), object::one)
    }

    fn write(&self, condition: Condition) -> Write<X, T> {
        Write::new(self.resource.of(), Some(&self.id), condition)
    }

    /// Whether it exists. To those who may not list buckets, servers answer 403 for a bucket that
    /// does not exist: that is an error.
    pub fn exists(&self) -> X::Sent<bool> {
        let mut call = self.call(Method::HEAD, "");
        call.accepted = &[StatusCode::NOT_FOUND];
        self.transport().send(call, |response| Ok(response.status.is_success()))
    }

    /// Sets all of its permissions: who is not named holds none any more, but the user who asks may
    /// always write it. Its data stays as it is; an object that does not exist is created, unless
    /// there is an [`if_match`](Write::if_match).
    ///
    /// [`Changes::from`] such permissions changes those that are named only, and
    /// [`Changes::grant`] one holder.
    pub fn set_permissions(&self, mut permissions: Permissions) -> Write<X, T> {
        // Without any entry, servers would see nothing to set.
        permissions.0.entry("write".to_owned()).or_default();
        self.write(Condition::Unchanged).permissions(permissions)
    }

    /// Creates it. See [`Resource::create`].
    pub fn create(&self) -> Write<X, T> {
        self.write(Condition::Absent)
    }

    /// Replaces or creates it. See [`Resource::update`].
    pub fn update(&self, data: impl Serialize) -> Write<X, T> {
        self.write(Condition::Unchanged).data(data)
    }

    /// Changes a part of it.
    pub fn patch(&self, changes: impl Into<Changes>) -> Write<X, T> {
        self.write(Condition::Unchanged).changes(changes.into())
    }

    /// Deletes it, with all that is in it.
    pub fn delete(&self) -> Delete<X> {
        let is_bucket = self.resource.kind == Kind::Bucket;
        Delete::new(self.transport().clone(), self.call(Method::DELETE, ""), is_bucket)
    }
}

impl<X: Transport, T: DeserializeOwned + Send + 'static> Resource<X, T> {
    /// The id of an object that shall be created: one that sorts by time.
    pub(crate) fn new_id() -> String {
        Uuid::now_v7().to_string()
    }
}

/// A bucket, and what is in it.
#[derive(Clone, Debug)]
pub struct Bucket<X>(One<X>);

impl<X: Transport> Bucket<X> {
    pub(crate) fn new(transport: X, id: &str) -> Self {
        Self(Resource::new(transport, Kind::Bucket, "").one(id))
    }

    /// Its groups.
    pub fn groups(&self) -> Resource<X> {
        self.0.inside(Kind::Group)
    }

    /// One of its groups.
    pub fn group(&self, id: impl AsRef<str>) -> One<X> {
        self.groups().one(id)
    }

    /// Its collections.
    pub fn collections(&self) -> Resource<X> {
        self.0.inside(Kind::Collection)
    }

    /// One of its collections.
    pub fn collection(&self, id: impl AsRef<str>) -> Collection<X> {
        Collection(self.collections().one(id))
    }
}

impl<X> Deref for Bucket<X> {
    type Target = One<X>;

    fn deref(&self) -> &One<X> {
        &self.0
    }
}

/// A collection, and what is in it.
#[derive(Clone, Debug)]
pub struct Collection<X>(One<X>);

impl<X: Transport> Collection<X> {
    /// Its records.
    pub fn records(&self) -> Resource<X> {
        self.0.inside(Kind::Record)
    }

    /// One of its records.
    pub fn record(&self, id: impl AsRef<str>) -> One<X> {
        self.records().one(id)
    }
}

impl<X> Deref for Collection<X> {
    type Target = One<X>;

    fn deref(&self) -> &One<X> {
        &self.0
    }
}
