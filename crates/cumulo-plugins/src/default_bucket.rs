//! `/buckets/default` is another name for a bucket of the user's own, which is created, and
//! collections in it, when they are first used.

use cumulo_core::{
    api::Api,
    authentication::{Sender, hmac_hex},
    call::{Call, Endpoint},
    cors,
    error::{ApiError, Invalid, Location, Result},
    object::Acl,
    openapi::Description,
    plugin::Plugin,
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

    fn claims(&self, path: &str) -> bool {
        // Paths that end with a slash are redirected like others.
        let rest = path.strip_prefix(ALIAS).filter(|rest| !rest.ends_with('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn target(&self, api: &Api, call: &Call) -> Option<Target> {
        let bucket = bucket_id(api, call.user.as_deref()?);
        Target::parse(&format!("/buckets/{bucket}{}", subpath(api, call)))
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
        create_parents(api, call, &bucket, subpath, tx)?;
        let real = real_call(api, call, &bucket, subpath)?;
        // What was created stays, whatever the answer: the next request needs it too.
        let mut reply = api.dispatch_nested(&real, tx)?;
        reply.exposed = Some(real.exposed());
        Ok(reply)
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
    let target = Target::parse(&format!("/buckets/{bucket}{subpath}"));
    let target = target.ok_or_else(ApiError::url_not_found)?;
    let sender = Sender { user: call.user.clone(), login: None };
    let redeemed = call.redeemed.clone();
    Ok(Call { redeemed, ..Call::new(request, Endpoint::Resource(target), sender, body) })
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
/// about to.
fn create_parents(
    api: &Api,
    call: &Call,
    bucket: &str,
    subpath: &str,
    tx: &mut dyn Transaction,
) -> Result<()> {
    let is_put = call.request.method == Method::PUT;
    if is_put && subpath.is_empty() {
        return Ok(());
    }
    create(api, call, &format!("/buckets/{bucket}"), tx)?;
    let mut segments = subpath.split('/').skip(1);
    if segments.next() == Some("collections")
        && let Some(collection) = segments.next().filter(|id| !id.is_empty())
        && !(is_put && segments.next().is_none())
    {
        create(api, call, &format!("/buckets/{bucket}/collections/{collection}"), tx)?;
    }
    Ok(())
}

/// Creates an empty object that belongs to the user, if it is not there.
fn create(api: &Api, call: &Call, uri: &str, tx: &mut dyn Transaction) -> Result<()> {
    let Some(target) = Target::parse(uri) else { return Ok(()) };
    let Some(id) = &target.id else { return Ok(()) };
    if !api.accepts_id(target.resource, id) {
        let problem = format!("Invalid {} id", target.resource.name);
        return Err(Invalid::unnamed(Location::Path, problem).into());
    }
    if tx.acl(&target.list, id)?.is_none() {
        let mut acl = Acl::default();
        if api.settings.explicit_permissions {
            acl.add("write", call.principal());
        }
        tx.put(&target.list, id, None, "{}", Some(&acl))?;
    }
    Ok(())
}
