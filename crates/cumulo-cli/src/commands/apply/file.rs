//! What the file says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Read as _},
    path::Path,
};

use cumulo_client::Permissions;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// What there shall be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, deserialize_with = "all_or_default")]
    pub(super) buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bucket {
    #[serde(deserialize_with = "or_default")]
    data: Map<String, Value>,
    #[serde(deserialize_with = "or_default")]
    permissions: Permissions,
    #[serde(deserialize_with = "all_or_default")]
    groups: BTreeMap<String, Group>,
    #[serde(deserialize_with = "all_or_default")]
    collections: BTreeMap<String, Collection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Group {
    #[serde(deserialize_with = "or_default")]
    members: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    data: Map<String, Value>,
    #[serde(deserialize_with = "or_default")]
    permissions: Permissions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Collection {
    schema: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    data: Map<String, Value>,
    #[serde(deserialize_with = "or_default")]
    permissions: Permissions,
}

/// What stands behind a name; if nothing does, what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The same, also of each object in it.
fn all_or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let objects: BTreeMap<String, Option<T>> = or_default(deserializer)?;
    Ok(objects.into_iter().map(|(id, it)| (id, it.unwrap_or_default())).collect())
}

/// An object as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) place: Place,
    /// Fields that must have these values; `null` for those that must not be there.
    pub(super) data: Map<String, Value>,
    /// Who must hold the permissions that are named, and nobody else.
    pub(super) permissions: Permissions,
}

/// A bucket, or a group or collection in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Bucket(String),
    Group(String, String),
    Collection(String, String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(bucket) => f.write_str(bucket),
            Self::Group(bucket, id) => write!(f, "{bucket}/groups/{id}"),
            Self::Collection(bucket, id) => write!(f, "{bucket}/collections/{id}"),
        }
    }
}

impl File {
    /// Reads a file, `-` for the standard input. JSON is YAML too.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            fs::read_to_string(path)
        };
        let text = text.map_err(|error| Error::file(path, error))?;
        let unusable = |problem| Error::Input(format!("{}: {problem}", path.display()));
        Self::parse(&text).map_err(unusable)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: Option<Self> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        file.ok_or_else(|| "there is nothing in it: expected `buckets:`, with their ids".to_owned())
    }

    /// The objects in the order in which they can be made.
    pub(super) fn wanted(self) -> Vec<Wanted> {
        self.buckets.into_iter().flat_map(|(id, bucket)| bucket.wanted(&id)).collect()
    }
}

impl Bucket {
    fn wanted(self, id: &str) -> Vec<Wanted> {
        let of = |place, data, permissions| Wanted {
            place,
            data,
            permissions: spelled_out(permissions, id),
        };
        let mut wanted = vec![of(Place::Bucket(id.to_owned()), self.data, self.permissions)];
        wanted.extend(self.groups.into_iter().map(|(group, mut it)| {
            it.data.insert("members".to_owned(), it.members.into());
            of(Place::Group(id.to_owned(), group), it.data, it.permissions)
        }));
        wanted.extend(self.collections.into_iter().map(|(collection, mut it)| {
            it.data.extend(it.schema.map(|schema| ("schema".to_owned(), schema)));
            of(Place::Collection(id.to_owned(), collection), it.data, it.permissions)
        }));
        wanted
    }
}

/// `group:editors` is a short form of the principal of a group in the same bucket.
fn spelled_out(permissions: Permissions, bucket: &str) -> Permissions {
    let full = |principal: String| match principal.strip_prefix("group:") {
        Some(group) => format!("/buckets/{bucket}/groups/{group}"),
        None => principal,
    };
    let holders = |(name, holders): (String, BTreeSet<String>)| {
        (name, holders.into_iter().map(full).collect())
    };
    Permissions(permissions.0.into_iter().map(holders).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BLOG: &str = "
buckets:
  blog:
    data: { title: My blog }
    permissions:
      write: ['group:editors']
    groups:
      editors:
        members: ['account:ann']
    collections:
      articles:
        schema:
          type: object
          properties: { title: { type: string, maxLength: 80 } }
        permissions:
          read: [system.Everyone]
";

    #[test]
    fn a_file_names_objects_in_the_order_in_which_they_can_be_made() {
        let wanted = File::parse(BLOG).unwrap().wanted();
        let places: Vec<_> = wanted.iter().map(|it| it.place.to_string()).collect();
        assert_eq!(places, ["blog", "blog/groups/editors", "blog/collections/articles"]);
        assert!(wanted[0].permissions.has("write", "/buckets/blog/groups/editors"));
        assert_eq!(wanted[1].data["members"], json!(["account:ann"]));
        assert_eq!(wanted[2].data["schema"]["properties"]["title"]["maxLength"], 80);
    }

    #[test]
    fn what_has_nothing_behind_it_is_empty() {
        let places = |text| {
            let wanted = File::parse(text).unwrap().wanted();
            wanted.iter().map(|it| it.place.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(places("buckets:\n"), [""; 0]);
        assert_eq!(places("buckets:\n  blog:\n"), ["blog"]);
        let nothing =
            "buckets:\n  blog:\n    data:\n    permissions:\n    groups:\n    collections:\n";
        assert_eq!(places(nothing), ["blog"]);
        let objects =
            "buckets:\n  blog:\n    groups:\n      editors:\n    collections:\n      articles:\n";
        assert_eq!(places(objects), ["blog", "blog/groups/editors", "blog/collections/articles"]);
        let members = "buckets:\n  blog:\n    groups:\n      editors:\n        members:\n";
        assert_eq!(File::parse(members).unwrap().wanted()[1].data["members"], json!([]));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let error = File::parse("buckets:\n  blog:\n    permision: {}\n").unwrap_err();
        assert!(error.contains("permision") && error.contains('3'), "{error}");
        assert!(File::parse("buckets: [blog]").is_err());
        for empty in ["", "\n", "# nothing yet\n", "---\n"] {
            let error = File::parse(empty).unwrap_err();
            assert!(error.contains("expected `buckets:`"), "{empty:?}: {error}");
        }
    }
}
