//! SQL functions that look into JSON the way the port defines it.
//!
//! - `json_key(data, path)`: the comparable key of what lies at a path
//! - `value_key(value)`: the key of a text or an integer
//! - `key_in(key, keys)`: whether a key is in a set, as [`key_set`] encodes it
//! - `json_like(data, path, pattern)`, `value_like(value, pattern)`: see [`Op::Like`]
//! - `json_contains(data, path, items)`: see [`Op::Contains`]
//! - `json_contains_any(data, path, items)`: see [`Op::ContainsAny`]
//!
//! A path is a JSON array of names. What is constant over a statement is parsed once.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cumulo_core::query::{Op, key};
use rusqlite::{
    Connection, Error, Result,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};
use serde_json::Value;

const FLAGS: FunctionFlags = FunctionFlags::SQLITE_UTF8
    .union(FunctionFlags::SQLITE_DETERMINISTIC)
    .union(FunctionFlags::SQLITE_INNOCUOUS);

/// Makes an operator of its operand.
type Parse = fn(&str) -> Result<Op, serde_json::Error>;

const LIKE: Parse = |pattern| Ok(Op::Like(pattern.to_owned()));

/// Makes the functions known to a connection; `looked` counts how often they look into data.
pub(super) fn register(connection: &Connection, looked: &Arc<AtomicU64>) -> Result<()> {
    let count = {
        let looked = Arc::clone(looked);
        move || _ = looked.fetch_add(1, Ordering::Relaxed)
    };
    let counted = count.clone();
    connection.create_scalar_function("json_key", 2, FLAGS, move |context| {
        counted();
        Ok(key::at(text(context, 0)?, &path(context)?))
    })?;
    connection.create_scalar_function("value_key", 1, FLAGS, |context| {
        Ok(value(context).map_or_else(|| key::MISSING.to_vec(), |value| key::of(&value)))
    })?;
    connection.create_scalar_function("key_in", 2, FLAGS, key_in)?;
    connection.create_scalar_function("value_like", 2, FLAGS, |context| {
        Ok(op(context, 1, LIKE)?.holds(&value(context)))
    })?;
    let operators: [(&str, Parse); 3] = [
        ("json_like", LIKE),
        ("json_contains", |items| Ok(Op::Contains(serde_json::from_str(items)?))),
        ("json_contains_any", |items| Ok(Op::ContainsAny(serde_json::from_str(items)?))),
    ];
    for (name, parse) in operators {
        let counted = count.clone();
        connection.create_scalar_function(name, 3, FLAGS, move |context| {
            counted();
            let value = key::value_at(text(context, 0)?, &path(context)?);
            Ok(op(context, 2, parse)?.holds(&value))
        })?;
    }
    Ok(())
}

/// Encodes keys for `key_in`: each with its length before it.
pub(super) fn key_set(keys: &[Vec<u8>]) -> Vec<u8> {
    let mut set = Vec::new();
    for key in keys {
        set.extend_from_slice(&(key.len() as u64).to_be_bytes());
        set.extend_from_slice(key);
    }
    set
}

fn key_in(context: &Context<'_>) -> Result<bool> {
    let keys = context.get_or_create_aux(1, |set| set.as_blob().map(parse_key_set))?;
    Ok(keys.contains(blob(context, 0)?))
}

fn parse_key_set(mut set: &[u8]) -> HashSet<Vec<u8>> {
    let mut keys = HashSet::new();
    while let Some((len, rest)) = set.split_first_chunk::<8>() {
        let len = usize::try_from(u64::from_be_bytes(*len)).unwrap_or(usize::MAX);
        let (key, rest) = rest.split_at(len.min(rest.len()));
        keys.insert(key.to_vec());
        set = rest;
    }
    keys
}

/// The path that is the second argument.
fn path(context: &Context<'_>) -> Result<Arc<Vec<String>>> {
    constant(context, 1, |path| serde_json::from_str(path))
}

/// The operator that an argument stands for.
fn op(context: &Context<'_>, argument: u8, parse: Parse) -> Result<Arc<Op>> {
    constant(context, argument, parse)
}

/// An argument that is parsed once for a whole statement.
fn constant<T: Send + Sync + 'static>(
    context: &Context<'_>,
    argument: u8,
    parse: impl FnOnce(&str) -> Result<T, serde_json::Error>,
) -> Result<Arc<T>> {
    context.get_or_create_aux(argument.into(), |value| {
        let text = value.as_str().map_err(|error| Error::UserFunctionError(error.into()))?;
        parse(text).map_err(|error| Error::UserFunctionError(error.into()))
    })
}

fn text<'a>(context: &'a Context<'_>, argument: usize) -> Result<&'a str> {
    context.get_raw(argument).as_str().map_err(|error| Error::UserFunctionError(error.into()))
}

fn blob<'a>(context: &'a Context<'_>, argument: usize) -> Result<&'a [u8]> {
    context.get_raw(argument).as_blob().map_err(|error| Error::UserFunctionError(error.into()))
}

/// The first argument, as JSON.
fn value(context: &Context<'_>) -> Option<Value> {
    match context.get_raw(0) {
        ValueRef::Integer(number) => Some(number.into()),
        text => text.as_str().ok().map(Value::from),
    }
}
