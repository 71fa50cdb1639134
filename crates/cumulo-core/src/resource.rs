//! The kinds of objects: one table in place of four copies of the code.

use std::borrow::Cow;

use http::Method;

use crate::object::List;

/// One kind of object.
#[derive(Debug)]
pub struct Resource {
    /// Singular name, such as `record`.
    pub name: &'static str,
    /// Plural name, as in URLs.
    pub plural: &'static str,
    /// The kind that holds lists of this one.
    pub parent: Option<&'static Resource>,
    /// Permissions that an object's own access control list can hold.
    pub permissions: &'static [&'static str],
    /// Which permissions, on which kind of ancestor or on the object itself, give a permission;
    /// the most specific first.
    pub rights: &'static [(&'static str, &'static [Right])],
    /// Methods of the list.
    pub plural_methods: &'static [Method],
    /// Methods of an object; of none, objects have no URLs of their own.
    pub object_methods: &'static [Method],
    /// Which ids its objects can have; none if the settings say that.
    pub accepts_id: Option<fn(&str) -> bool>,
    /// Whether each object is alone in a list of its own, whose parent is the object's id.
    pub alone: bool,
    /// Texts that every object has. Clients see a mask in their place
    /// ([`MASK`](crate::render::MASK)), and can't filter or sort by them.
    pub secrets: &'static [&'static str],
    /// The only fields that can be asked about, if not all can.
    pub fields: Option<&'static [&'static str]>,
    /// Fields that hold texts: numbers in filters on them are meant as texts.
    pub texts: &'static [&'static str],
}

/// A permission on an ancestor, or on the object itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// Name of the ancestor's kind.
    pub on: &'static str,
    /// The permission.
    pub permission: &'static str,
}

/// The right that comes of `permission` on an ancestor of kind `on`.
pub const fn right(on: &'static str, permission: &'static str) -> Right {
    Right { on, permission }
}

/// The methods of most lists.
pub const PLURAL_METHODS: &[Method] = &[Method::HEAD, Method::GET, Method::POST, Method::DELETE];
/// The methods of most objects.
pub const OBJECT_METHODS: &[Method] =
    &[Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE];

/// The permission to read an object itself where that takes less than to read what it holds.
pub const READ_ATTRIBUTES: &str = "read:attributes";

/// Buckets.
pub static BUCKET: Resource = Resource {
    name: "bucket",
    plural: "buckets",
    parent: None,
    permissions: &["read", "write", "collection:create", "group:create"],
    rights: &[
        ("write", &[right("bucket", "write")]),
        ("read", &[right("bucket", "write"), right("bucket", "read")]),
        (
            READ_ATTRIBUTES,
            &[
                right("bucket", "write"),
                right("bucket", "read"),
                right("bucket", "collection:create"),
                right("bucket", "group:create"),
            ],
        ),
        ("group:create", &[right("bucket", "write"), right("bucket", "group:create")]),
        ("collection:create", &[right("bucket", "write"), right("bucket", "collection:create")]),
    ],
    plural_methods: PLURAL_METHODS,
    object_methods: OBJECT_METHODS,
    accepts_id: None,
    alone: false,
    secrets: &[],
    fields: None,
    texts: &[],
};

/// Groups of users, in a bucket.
pub static GROUP: Resource = Resource {
    name: "group",
    plural: "groups",
    parent: Some(&BUCKET),
    permissions: &["read", "write"],
    rights: &[
        ("write", &[right("group", "write"), right("bucket", "write")]),
        (
            "read",
            &[
                right("group", "write"),
                right("group", "read"),
                right("bucket", "write"),
                right("bucket", "read"),
            ],
        ),
    ],
    plural_methods: PLURAL_METHODS,
    object_methods: OBJECT_METHODS,
    accepts_id: None,
    alone: false,
    secrets: &[],
    fields: None,
    texts: &[],
};

/// Collections of records, in a bucket.
pub static COLLECTION: Resource = Resource {
    name: "collection",
    plural: "collections",
    parent: Some(&BUCKET),
    permissions: &["read", "write", "record:create"],
    rights: &[
        ("write", &[right("collection", "write"), right("bucket", "write")]),
        (
            "read",
            &[
                right("collection", "write"),
                right("collection", "read"),
                right("bucket", "write"),
                right("bucket", "read"),
            ],
        ),
        (
            READ_ATTRIBUTES,
            &[
                right("collection", "write"),
                right("collection", "read"),
                right("collection", "record:create"),
                right("bucket", "write"),
                right("bucket", "read"),
            ],
        ),
        (
            "record:create",
            &[
                right("collection", "write"),
                right("collection", "record:create"),
                right("bucket", "write"),
            ],
        ),
    ],
    plural_methods: PLURAL_METHODS,
    object_methods: OBJECT_METHODS,
    accepts_id: None,
    alone: false,
    secrets: &[],
    fields: None,
    texts: &[],
};

/// Records, in a collection.
pub static RECORD: Resource = Resource {
    name: "record",
    plural: "records",
    parent: Some(&COLLECTION),
    permissions: &["read", "write"],
    rights: &[
        (
            "write",
            &[right("record", "write"), right("collection", "write"), right("bucket", "write")],
        ),
        (
            "read",
            &[
                right("record", "write"),
                right("record", "read"),
                right("collection", "write"),
                right("collection", "read"),
                right("bucket", "write"),
                right("bucket", "read"),
            ],
        ),
    ],
    plural_methods: PLURAL_METHODS,
    object_methods: OBJECT_METHODS,
    accepts_id: None,
    alone: false,
    secrets: &[],
    fields: None,
    texts: &[],
};

/// Every kind of the core, parents before children; plugins add more.
pub static RESOURCES: &[&Resource] = &[&BUCKET, &GROUP, &COLLECTION, &RECORD];

impl Resource {
    /// The kind with this singular name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RESOURCES.iter().copied().find(|resource| resource.name == name)
    }

    /// What gives `permission`; nothing for one that this kind does not know.
    pub fn granters(&self, permission: &str) -> &'static [Right] {
        self.rights.iter().find(|(name, _)| *name == permission).map_or(&[], |(_, rights)| *rights)
    }

    /// What gives the permission to see an object itself with `permission`.
    pub fn object_granters(&self, permission: &str) -> &'static [Right] {
        match self.granters(READ_ATTRIBUTES) {
            rights if permission == "read" && !rights.is_empty() => rights,
            _ => self.granters(permission),
        }
    }

    /// The permission to create objects of this kind, held by the parent.
    pub fn create_permission(&self) -> &'static str {
        match self.name {
            "collection" => "collection:create",
            "group" => "group:create",
            "record" => "record:create",
            _ => "create",
        }
    }
}

/// A list of objects, or one object in it, as a URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The kind.
    pub resource: &'static Resource,
    /// The list.
    pub list: List,
    /// What holds the list, outermost first.
    pub ancestors: Vec<Ancestor>,
    /// The object's id; none if the list is meant.
    pub id: Option<String>,
    /// Whether all lists of the resource are meant together; `list` means nothing then.
    pub everywhere: bool,
}

/// One object on the way from the root to a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its kind.
    pub resource: &'static Resource,
    /// The list that it is in.
    pub list: List,
    /// Its id.
    pub id: String,
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Resource {}

impl Target {
    /// Reads a path without version prefix, such as `/buckets/blog/collections`.
    pub fn parse(path: &str) -> Option<Self> {
        Self::parse_among(path, &[])
    }

    /// [`parse`](Self::parse) that knows `more` kinds than those of the core.
    pub fn parse_among(path: &str, more: &[&'static Resource]) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let mut parent: Option<&'static Resource> = None;
        let mut uri = String::with_capacity(path.len());
        let mut ancestors = Vec::with_capacity(2);
        loop {
            let plural = segments.next()?;
            let resource = RESOURCES
                .iter()
                .chain(more)
                .copied()
                .find(|resource| resource.plural == plural && resource.parent == parent)?;
            let mut list = List::new(uri.clone(), resource.name);
            let Some(id) = segments.next() else {
                return Some(Self { resource, list, ancestors, id: None, everywhere: false });
            };
            if id.is_empty() || resource.object_methods.is_empty() {
                return None;
            }
            if resource.alone {
                id.clone_into(&mut list.parent);
            }
            if segments.clone().next().is_none() {
                let id = Some(id.to_owned());
                return Some(Self { resource, list, ancestors, id, everywhere: false });
            }
            uri.push('/');
            uri.push_str(plural);
            uri.push('/');
            uri.push_str(id);
            ancestors.push(Ancestor { resource, list, id: id.to_owned() });
            parent = Some(resource);
        }
    }

    /// The URI of the list, without version prefix.
    pub fn list_uri(&self) -> String {
        format!("{}/{}", holder_uri(&self.list), self.resource.plural)
    }

    /// The URI of the object with this id in the list.
    pub fn object_uri(&self, id: &str) -> String {
        format!("{}/{}/{id}", holder_uri(&self.list), self.resource.plural)
    }

    /// The list that the object with this id is in.
    pub fn list_of(&self, id: &str) -> List {
        let parent = if self.everywhere { id } else { &self.list.parent };
        List::new(parent, self.resource.name)
    }

    /// What directly holds the list; nothing for root lists.
    pub fn holder(&self) -> Option<&Ancestor> {
        self.ancestors.last()
    }

    /// The id of the ancestor of this kind.
    pub fn ancestor_id(&self, resource: &str) -> Option<&str> {
        self.ancestors
            .iter()
            .find(|ancestor| ancestor.resource.name == resource)
            .map(|ancestor| ancestor.id.as_str())
    }
}

/// The URI of an object, without version prefix.
pub fn uri_of(list: &List, id: &str) -> String {
    format!("{}/{}/{id}", holder_uri(list), plural(list.resource))
}

/// Kinds whose plural is not made with an `s`: their singular and their plural.
const IRREGULAR: &[(&str, &str)] = &[("history", "history")];

/// The plural of a kind's name, as in URIs.
pub fn plural(singular: &str) -> Cow<'_, str> {
    match IRREGULAR.iter().find(|(known, _)| *known == singular) {
        Some((_, plural)) => Cow::Borrowed(*plural),
        None => Cow::Owned(format!("{singular}s")),
    }
}

/// The kind whose name has this plural; none if that is no plural.
pub fn singular(plural: &str) -> Option<&str> {
    match IRREGULAR.iter().find(|(_, known)| *known == plural) {
        Some((singular, _)) => Some(singular),
        None => plural.strip_suffix('s'),
    }
}

/// The URI of what holds a list; empty for root lists, and for those that have the id of their only
/// object for a parent.
fn holder_uri(list: &List) -> &str {
    if list.parent.starts_with('/') { &list.parent } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_lists_and_objects() {
        let list = Target::parse("/buckets").unwrap();
        assert_eq!((list.list.parent.as_str(), list.resource.name, list.id), ("", "bucket", None));
        let record = Target::parse("/buckets/b/collections/c/records/r").unwrap();
        assert_eq!(record.list, List::new("/buckets/b/collections/c", "record"));
        assert_eq!(record.id.as_deref(), Some("r"));
        assert_eq!(record.ancestor_id("bucket"), Some("b"));
        assert_eq!(record.object_uri("r"), "/buckets/b/collections/c/records/r");
        for path in ["", "/", "/records", "/buckets/", "/buckets/b/", "/buckets/b/records", "/x/y"]
        {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }

    #[test]
    fn plurals_lead_back_to_their_kinds() {
        for resource in RESOURCES {
            assert_eq!(plural(resource.name), resource.plural);
        }
        for name in ["bucket", "record", "history", "account"] {
            assert_eq!(singular(&plural(name)), Some(name));
        }
        let list = List::new("/buckets/b", "history");
        assert_eq!(uri_of(&list, "x"), "/buckets/b/history/x");
        assert_eq!(singular("sheep"), None);
    }
}
