//! What is sent: JSON, fields, files, and permissions, as people write them.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use cumulo_client::Permissions;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Data and permissions.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Input {
    /// Data: JSON, `@FILE`, or `-` for the standard input; and fields, which win: `name=text` or
    /// `name:=json`
    #[arg(value_name = "DATA")]
    pub(crate) data: Vec<String>,
    /// Who may do what, such as `read=system.Everyone`; may be given several times. `read=` is nobody
    #[arg(long, value_name = "PERMISSION=PRINCIPAL")]
    pub(crate) permission: Vec<String>,
    /// JSON is the whole object, `{"data": …, "permissions": …}`; so is what is printed
    #[arg(long)]
    pub(crate) full: bool,
}

impl Input {
    /// What is to be sent.
    pub(crate) fn read(&self) -> Result<(Option<Value>, Option<Permissions>)> {
        let (document, pairs) = self.parts()?;
        let (mut data, mut permissions) = match document {
            Some(document) if self.full => whole(document)?,
            document => (document, None),
        };
        if !pairs.is_empty() {
            let Value::Object(fields) = data.get_or_insert_with(|| Value::Object(Map::new()))
            else {
                let problem = "fields can be added to a JSON object only";
                return Err(Error::Input(problem.to_owned()));
            };
            fields.extend(pairs);
        }
        for text in &self.permission {
            grant(permissions.get_or_insert_default(), text)?;
        }
        Ok((data, permissions))
    }

    /// The JSON, and the fields beside it.
    fn parts(&self) -> Result<(Option<Value>, Vec<Pair>)> {
        let mut document = None;
        let mut pairs = Vec::new();
        for text in &self.data {
            match given(text)? {
                Some(json) if document.is_none() => document = Some(json),
                Some(_) => {
                    return Err(Error::Usage("give JSON once, and fields beside it".to_owned()));
                }
                None => pairs.push(pair(text)?),
            }
        }
        Ok((document, pairs))
    }
}

/// A field and its value.
type Pair = (String, Value);

/// JSON that stands in an argument, a file or the standard input; nothing if it is a field.
fn given(text: &str) -> Result<Option<Value>> {
    let (from, json) = if text == "-" {
        let mut json = String::new();
        let read = io::stdin().lock().read_to_string(&mut json);
        read.map_err(|error| Error::file(Path::new("-"), error))?;
        ("the standard input".to_owned(), json)
    } else if let Some(path) = text.strip_prefix('@') {
        let path = Path::new(path);
        let json = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        (path.display().to_string(), json)
    } else if text.trim_start().starts_with(['{', '[']) {
        ("the data".to_owned(), text.to_owned())
    } else {
        return Ok(None);
    };
    let json = serde_json::from_str(&json)
        .map_err(|error| Error::Input(format!("{from} is not JSON: {error}")))?;
    Ok(Some(json))
}

/// `name=text` or `name:=json`.
fn pair(text: &str) -> Result<Pair> {
    let expected = || {
        Error::Usage(format!(
            "'{text}' is no data: expected name=text, name:=json, JSON, @FILE or -"
        ))
    };
    let (name, value) = text.split_once('=').ok_or_else(expected)?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let json = serde_json::from_str(value).map_err(|error| {
                Error::Input(format!("the field '{name}' is not JSON: {error}"))
            })?;
            (name, json)
        }
        None => (name, Value::String(value.to_owned())),
    };
    if name.is_empty() { Err(expected()) } else { Ok((name.to_owned(), value)) }
}

/// Data and permissions of `{"data": …, "permissions": …}`.
fn whole(document: Value) -> Result<(Option<Value>, Option<Permissions>)> {
    let expected =
        || Error::Input("expected {\"data\": …, \"permissions\": …} with --full".to_owned());
    let Value::Object(mut members) = document else { return Err(expected()) };
    let data = members.remove("data");
    let permissions = members.remove("permissions").map(serde_json::from_value);
    let permissions = permissions.transpose().map_err(|error| {
        Error::Input(format!("the permissions are not what they should be: {error}"))
    })?;
    if members.is_empty() { Ok((data, permissions)) } else { Err(expected()) }
}

/// Refuses data that is no object.
pub(crate) fn check_object(data: Option<&Value>) -> Result<()> {
    match data {
        Some(data) if !data.is_object() => {
            Err(Error::Input("the data is not a JSON object".to_owned()))
        }
        _ => Ok(()),
    }
}

fn grant(permissions: &mut Permissions, text: &str) -> Result<()> {
    match text.split_once('=') {
        Some((permission, principal)) if !permission.is_empty() => {
            let holders = permissions.0.entry(permission.to_owned()).or_default();
            if !principal.is_empty() {
                holders.insert(principal.to_owned());
            }
            Ok(())
        }
        _ => Err(Error::Usage(format!(
            "'{text}' is no permission: expected one such as read=system.Everyone"
        ))),
    }
}

/// A parameter of a list, as in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Param(pub(crate) String, pub(crate) String);

impl std::str::FromStr for Param {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.into(), value.into())),
            _ => Err("expected a filter such as min_price=3 or _sort=-title".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(data: &[&str], permission: &[&str], full: bool) -> Input {
        let owned = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect();
        Input { data: owned(data), permission: owned(permission), full }
    }

    fn data(args: &[&str]) -> Result<Option<Value>> {
        input(args, &[], false).read().map(|(data, _)| data)
    }

    #[test]
    fn data_is_json_and_fields() {
        for (args, expected) in [
            (&[][..], Value::Null),
            (
                &["title=Hello = world", "price:=3.5"],
                json!({"title": "Hello = world", "price": 3.5}),
            ),
            (&["title=", "tags:=[1, \"a\"]"], json!({"title": "", "tags": [1, "a"]})),
            (&["{\"a\": 1, \"b\": 2}", "b=x"], json!({"a": 1, "b": "x"})),
            (&["b=x", " {\"b\": 2}"], json!({"b": "x"})),
            (&["[1]"], json!([1])),
            (&["url=http://x?a=b", "at=@me"], json!({"url": "http://x?a=b", "at": "@me"})),
        ] {
            assert_eq!(data(args).unwrap().unwrap_or_default(), expected, "{args:?}");
        }
    }

    #[test]
    fn files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "{\"a\": 1}\n").unwrap();
        let argument = format!("@{}", path.display());
        assert_eq!(data(&[&argument]).unwrap(), Some(json!({"a": 1})));
        fs::write(&path, "nonsense").unwrap();
        assert!(data(&[&argument]).unwrap_err().to_string().contains("a.json is not JSON"));
        assert_eq!(data(&["@nowhere.json"]).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn mistakes_are_told() {
        for (args, expected, code) in [
            (&["title"][..], "'title' is no data", 2),
            (&["=x"], "'=x' is no data", 2),
            (&[":=1"], "':=1' is no data", 2),
            (&["{\"a\":"], "the data is not JSON", 6),
            (&["a:=b"], "the field 'a' is not JSON", 6),
            (&["{}", "[]"], "give JSON once", 2),
            (&["[]", "a=b"], "fields can be added to a JSON object only", 6),
        ] {
            let error = data(args).unwrap_err();
            assert!(error.to_string().contains(expected), "{args:?}: {error}");
            assert_eq!(error.exit_code(), code, "{args:?}");
        }
    }

    #[test]
    fn permissions_are_collected() {
        let read = |permission: &[&str]| input(&[], permission, false).read();
        let (data, permissions) = read(&["read=a", "read=b", "write="]).unwrap();
        assert_eq!(data, None);
        let expected = json!({"read": ["a", "b"], "write": []});
        assert_eq!(serde_json::to_value(permissions.unwrap()).unwrap(), expected);
        assert!(read(&["read"]).is_err() && read(&["=a"]).is_err());
    }

    #[test]
    fn the_whole_object_has_two_parts() {
        let read = |json: &str, more: &[&str]| input(&[json], more, true).read();
        let (data, permissions) =
            read(r#"{"data": {"a": 1}, "permissions": {"read": ["x"]}}"#, &["read=y"]).unwrap();
        assert_eq!(data, Some(json!({"a": 1})));
        assert_eq!(serde_json::to_value(permissions).unwrap(), json!({"read": ["x", "y"]}));
        assert!(read(r#"{"a": 1}"#, &[]).is_err());
        assert!(read(r#"{"permissions": 7}"#, &[]).is_err());
    }

    #[test]
    fn params_are_taken_as_they_are() {
        assert_eq!("title=a%20=b".parse(), Ok(Param("title".into(), "a%20=b".into())));
        assert!("title".parse::<Param>().is_err() && "=x".parse::<Param>().is_err());
    }
}
