//! `/__api__`: what the service can do.

use http::{HeaderValue, StatusCode, header};

use crate::{api::Api, call::Call, openapi::Form, reply::Reply};

pub(crate) fn get(api: &Api, call: &Call, form: Form) -> Reply {
    let mut reply = Reply::empty(StatusCode::OK);
    reply.body = api.described(form, &api.origin(&call.request));
    let media_type = HeaderValue::from_static(form.media_type());
    reply.headers.insert(header::CONTENT_TYPE, media_type);
    if let Some(policy) = form.policy().and_then(|text| HeaderValue::try_from(text).ok()) {
        reply.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    reply
}
