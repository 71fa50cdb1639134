//! Pagination tokens: where the next page starts.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    error::{ApiError, Invalid, Location, Result},
    object::{Row, Timestamp},
    params::querystring::ListParams,
    query::{Field, Filter, Op, key},
    request::parse_query,
};

/// What a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The values of the sort fields on the last object of the page before; missing ones are left
    /// out.
    pub last_object: Map<String, Value>,
    /// How many objects came before; for clients that want to show it.
    pub offset: u64,
    /// Makes the token unique.
    pub nonce: String,
}

fn invalid(description: &str) -> ApiError {
    Invalid::unnamed(Location::Querystring, description).into()
}

impl Token {
    /// The token for the page after `last`.
    pub fn after(last: Row<'_>, params: &ListParams, offset: u64) -> Self {
        let mut last_object = Map::new();
        for (name, sort) in params.sort_names.iter().zip(&params.query.sort) {
            let value = match &sort.field {
                Field::Id => Some(last.id.into()),
                Field::LastModified => Some(last.last_modified.0.into()),
                Field::Data(path) => key::value_at(last.data, path),
            };
            if let Some(value) = value {
                last_object.insert(name.clone(), value);
            }
        }
        Self { last_object, offset, nonce: format!("{NONCE}{}", Uuid::new_v4()) }
    }

    /// The text for the URL.
    pub fn encode(&self) -> String {
        let token =
            json!({"last_object": self.last_object, "offset": self.offset, "nonce": self.nonce});
        STANDARD.encode(token.to_string())
    }

    /// Reads a token that came back for a request with these parameters.
    pub fn decode(text: &str, params: &ListParams) -> Result<Self> {
        Self::read(text)
            .filter(|token| token.fits(params))
            .ok_or_else(|| invalid("_token has invalid content"))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let mut token: Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
        let Some(Value::Object(last_object)) = token.remove("last_object") else { return None };
        let Some(Value::String(nonce)) = token.remove("nonce") else { return None };
        let offset = token.get("offset")?.as_u64()?;
        Some(Self { last_object, offset, nonce })
    }

    fn fits(&self, params: &ListParams) -> bool {
        params.sort_names.iter().zip(&params.query.sort).all(|(name, sort)| {
            match (&sort.field, self.last_object.get(name)) {
                (Field::LastModified, value) => value.is_some_and(Value::is_i64),
                (Field::Id, value) => value.is_some_and(Value::is_string),
                (Field::Data(_), Some(Value::String(text))) => !text.contains('\0'),
                (Field::Data(_), _) => true,
            }
        })
    }

    /// The conditions for being beyond the last object: equal in the first sort fields and beyond
    /// it in the next, for each number of first fields.
    pub fn page(&self, params: &ListParams) -> Vec<Vec<Filter>> {
        let sort = &params.query.sort;
        let values: Vec<_> =
            params.sort_names.iter().map(|name| self.last_object.get(name)).collect();
        let mut page = Vec::new();
        for beyond in 0..sort.len() {
            let op = match (values[beyond], sort[beyond].descending) {
                (Some(value), true) => Op::Lt(value.clone()),
                (Some(value), false) => Op::Gt(value.clone()),
                (None, true) => Op::Has(true),
                // Nothing is beyond a missing value.
                (None, false) => continue,
            };
            let mut all: Vec<_> = (0..beyond)
                .map(|equal| Filter {
                    field: sort[equal].field.clone(),
                    op: values[equal].map_or(Op::Missing, |value| Op::Eq(value.clone())),
                })
                .collect();
            all.push(Filter { field: sort[beyond].field.clone(), op });
            page.push(all);
        }
        page
    }
}

/// The timestamp of the last object of the page before, if the token holds it.
pub(crate) fn last_modified(text: &str) -> Option<Timestamp> {
    Token::read(text)?.last_object.get("last_modified")?.as_i64().map(Timestamp)
}

/// What a request does to the tokens that may be used once: those of deletions.
///
/// They are kept in the cache, which the core does not know: the caller takes what a request
/// brings out of it and says so in [`Call::redeemed`](crate::call::Call::redeemed); after the
/// commit it puts back what was not used, and adds what was issued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleUse {
    /// The nonces of new tokens.
    pub issued: Vec<String>,
    /// The nonces of tokens that are used up.
    pub used: Vec<String>,
}

/// Begins the nonces of all tokens, so that a request can ask the cache for nothing else.
const NONCE: &str = "pagination-token-";

/// The nonce of the token that a deletion with this query string brings.
pub(crate) fn nonce(query: &str) -> Option<String> {
    let pairs = parse_query(query)?;
    let (_, text) = pairs.into_iter().find(|(name, _)| name == "_token")?;
    Some(Token::read(&text)?.nonce).filter(|nonce| nonce.starts_with(NONCE))
}
