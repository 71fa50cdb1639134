//! `/buckets/default` is another name for a bucket of the user's own, which is created, and
//! collections in it, when they are first used.

use std::sync::Arc;

use cumulo_core::{
    api::Api,
    authentication::{Sender, hmac_hex},
    call::Call,
    cors,
    error::{ApiError, Invalid, Location, Result},
    event::{Action, Event, Impact},
    object::{Acl, Object},
    openapi::Description,
    plugin::{Claim, Plugin},
    reply::Reply,
    resource::Target,
    store::Transaction,
};
use http::Method;
use serde_json::{Map, Value, json};

pub(crate) struct DefaultBucket;

const ALIAS: &str = "/buckets/default";

impl Plugin for DefaultBucket {
    fn name(&self) -> &'static str {
        "default_bucket"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let value = json!({
            "description": "The default bucket is an alias for a personal bucket where \
                            collections are created implicitly.",
            "url": "https://kinto.readthedocs.io/en/latest/api/1.x/buckets.html\
                    #personal-bucket-default",
        });
        Some(("default_bucket", value))
    }

    fn describe(&self, _: &Api, description: &mut Description) {
        for (key, parameter) in &mut description.parameters {
            if key == "bucket.id" || key == "bucket_id" {
                parameter.description.push_str(" `default` is a bucket of your own.");
            }
        }
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        // Paths that end with a slash are redirected like others.
        let rest = path.strip_prefix(ALIAS).filter(|rest| !rest.ends_with('/'));
        let is_alias = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_alias.then_some(Claim::Everything)
    }

    fn endpoint_name(&self, path: &str) -> &'static str {
        if path == ALIAS { "default_bucket" } else { "default_bucket_collection" }
    }

    fn target(&self, api: &Api, call: &Call) -> Option<Target> {
        let bucket = bucket_id(api, call.user.as_deref()?);
        api.target(&format!("/buckets/{bucket}{}", subpath(api, call)))
    }

    fn answer(&self, api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
        if call.request.method == Method::OPTIONS {
            return preflight(api, call);
        }
        let user = call.user.as_deref().ok_or_else(ApiError::unauthorized)?;
        if api.settings.readonly {
            return Err(ApiError::method_not_allowed(""));
        }
        let bucket = bucket_id(api, user);
        let subpath = subpath(api, call);
        let mut events = create_parents(api, call, &bucket, subpath, tx)?;
        let real = real_call(api, call, &bucket, subpath)?;
        // What was created stays, whatever the answer: the next request needs it too.
        let mut reply = api.dispatch_nested(&real, tx)?;
        reply.exposed = Some(real.exposed());
        events.append(&mut reply.events);
        Ok(Reply { events, ..reply })
    }

    fn describe_user(&self, api: &Api, user: &str, description: &mut Map<String, Value>) {
        description.insert("bucket".into(), bucket_id(api, user).into());
    }
}

/// The id of the user's bucket: a digest in the form of a UUID.
fn bucket_id(api: &Api, user: &str) -> String {
    let digest = hmac_hex(&api.settings.default_bucket_hmac_secret, user);
    let parts = [&digest[..8], &digest[8..12], &digest[12..16], &digest[16..20], &digest[20..32]];
    parts.join("-")
}

/// What follows `/v1/buckets/default` in the path of the request.
fn subpath<'a>(api: &Api, call: &'a Call) -> &'a str {
    &call.request.path[1 + api.prefix().len() + ALIAS.len()..]
}

fn preflight(api: &Api, call: &Call) -> Result<Reply> {
    let real = real_call(api, call, "unknown", subpath(api, call))?;
    let methods = api.methods(&real.endpoint);
    Ok(cors::preflight(&api.settings, &real.request, &methods, real.exposed()))
}

/// The call to the real bucket.
fn real_call(api: &Api, call: &Call, bucket: &str, subpath: &str) -> Result<Call> {
    let mut request = call.request.clone();
    request.path = format!("/{}/buckets/{bucket}{subpath}", api.prefix());
    let body = call.body.clone().map(|body| with_real_id(body, subpath, bucket));
    let endpoint = api.route(&request.path).ok_or_else(ApiError::url_not_found)?;
    let sender = Sender { user: call.user.clone(), logins: Vec::new() };
    let redeemed = call.redeemed.clone();
    Ok(Call { redeemed, ..Call::new(request, endpoint, sender, body) })
}

/// A bucket that is written under its alias may call itself by it.
fn with_real_id(mut body: Value, subpath: &str, bucket: &str) -> Value {
    if subpath.is_empty()
        && let Some(id) = body.get_mut("data").and_then(|data| data.get_mut("id"))
        && *id == "default"
    {
        *id = bucket.into();
    }
    body
}

/// Creates the bucket, and the collection that the path leads into, unless the request itself is
/// about to. Returns what is to be told of it.
fn create_parents(
    api: &Api,
    call: &Call,
    bucket: &str,
    subpath: &str,
    tx: &mut dyn Transaction,
) -> Result<Vec<Event>> {
    let is_put = call.request.method == Method::PUT;
    if is_put && subpath.is_empty() {
        return Ok(Vec::new());
    }
    let bucket_uri = format!("/buckets/{bucket}");
    let mut events = Vec::from_iter(create(api, call, &bucket_uri, tx)?);
    let mut segments = subpath.split('/').skip(1);
    if segments.next() == Some("collections")
        && let Some(collection) = segments.next().filter(|id| !id.is_empty())
        && !(is_put && segments.next().is_none())
    {
        events.extend(create(api, call, &format!("{bucket_uri}/collections/{collection}"), tx)?);
    }
    Ok(events)
}

/// Creates an empty object that belongs to the user, if it is not there. Returns what is to be told
/// of it.
fn create(api: &Api, call: &Call, uri: &str, tx: &mut dyn Transaction) -> Result<Option<Event>> {
    let Some(target) = Target::parse(uri) else { return Ok(None) };
    let Some(id) = &target.id else { return Ok(None) };
    if !api.accepts_id(target.resource, id) {
        let problem = format!("Invalid {} id", target.resource.name);
        return Err(Invalid::unnamed(Location::Path, problem).into());
    }
    if tx.acl(&target.list, id)?.is_some() {
        return Ok(None);
    }
    let mut acl = Acl::default();
    if api.settings.explicit_permissions {
        acl.add("write", call.principal());
    }
    let data = "{}".to_owned();
    let last_modified = tx.put(&target.list, id, None, &data, Some(&acl))?;
    if !api.tells(Action::Create) {
        return Ok(None);
    }
    let new = Object { id: id.clone(), last_modified, deleted: false, data };
    let impact = Impact { new, old: None, acl: Arc::new(acl) };
    Ok(Some(Event::new(Action::Create, call, &target, uri).with(impact)))
}
