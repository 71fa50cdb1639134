//! `/admin/`: the web page for administrators.
//!
//! The plugin serves the folder that `admin_assets_path` names, which it reads once, at start: what
//! is not in it then can't be asked for, however a path is spelled. Without a folder there is a
//! [`page`] about this server.

mod assets;
mod page;

use std::{path::PathBuf, sync::Arc};

use cumulo_core::{
    api::Api,
    call::Call,
    error::{ApiError, Result},
    host::Host,
    plugin::{Claim, Plugin, StartError},
    reply::{Reply, ascii},
    settings::Settings,
    store::BoxFuture,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use self::assets::{Asset, Assets};

/// The plugin, with what it serves.
pub(crate) struct Admin {
    /// What is in the folder of the settings, or why it can't be served; nothing for our own page.
    assets: Option<std::result::Result<Assets, String>>,
}

const ROOT: &str = "/admin";

/// What Kinto's page needs: it has scripts in its text, and shows pictures from anywhere.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src data: *; script-src 'self' 'unsafe-inline' 'unsafe-eval'; \
     style-src 'self' 'unsafe-inline'",
);
const ONE_HOUR: HeaderValue = HeaderValue::from_static("max-age=3600");

impl Admin {
    /// The plugin with these settings; what is wrong with the folder is told at start.
    pub(crate) fn new(settings: &Settings) -> Self {
        let folder = &settings.admin_assets_path;
        let assets = (!folder.is_empty()).then(|| Assets::read(&PathBuf::from(folder)));
        Self { assets }
    }

    /// What is served, unless that is our own page.
    fn assets(&self) -> Option<&Assets> {
        self.assets.as_ref()?.as_ref().ok()
    }

    fn reply(&self, api: &Api, call: &Call) -> Result<Reply> {
        let path = call.request.path.get(1 + api.prefix().len()..).unwrap_or_default();
        let Some(name) = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) else {
            return Ok(redirect(api, call));
        };
        match self.assets() {
            Some(assets) => {
                let index = if name.is_empty() { "index.html" } else { name };
                let asset = assets.get(index).ok_or_else(ApiError::url_not_found)?;
                Ok(file(call, asset, name.is_empty(), CSP))
            }
            None if name.is_empty() => Ok(page::reply(api, call)),
            None => {
                let style = page::style(name).ok_or_else(ApiError::url_not_found)?;
                Ok(file(call, style, false, page::CSP))
            }
        }
    }
}

impl Plugin for Admin {
    fn name(&self) -> &'static str {
        "admin"
    }

    fn capability(&self) -> Option<(&'static str, Value)> {
        let version = self.assets().map_or(env!("CARGO_PKG_VERSION"), |assets| &*assets.version);
        let value = json!({
            "description": "Serves the admin console.",
            "url": "https://github.com/Kinto/kinto-admin/",
            "version": version,
        });
        Some(("admin", value))
    }

    fn claims(&self, path: &str) -> Option<Claim> {
        match path.strip_prefix(ROOT)? {
            "" | "/" => Some(Claim::Everything),
            rest if rest.starts_with('/') => Some(Claim::Methods(&[Method::GET, Method::HEAD])),
            _ => None,
        }
    }

    fn serve<'a>(
        &'a self,
        host: &'a dyn Host,
        call: &'a Call,
    ) -> Option<BoxFuture<'a, Result<Reply>>> {
        let reply = self.reply(host.api(), call);
        Some(Box::pin(async { reply }))
    }

    fn start<'a>(
        &'a self,
        _: &'a Arc<dyn Host>,
    ) -> BoxFuture<'a, std::result::Result<(), StartError>> {
        let problem = self.assets.as_ref().and_then(|assets| assets.as_ref().err());
        let result = match problem {
            Some(problem) => Err(format!("admin_assets_path: {problem}").into()),
            None => Ok(()),
        };
        Box::pin(async { result })
    }
}

fn redirect(api: &Api, call: &Call) -> Reply {
    let path = utf8_percent_encode(&call.request.path, cumulo_core::request::PATH);
    let mut location = format!("{}{path}/", api.origin(&call.request));
    if !call.request.query.is_empty() {
        location = format!("{location}?{}", call.request.query);
    }
    let mut reply = Reply::empty(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(location) = HeaderValue::try_from(location) {
        reply.headers.insert(header::LOCATION, location);
    }
    reply
}

/// The answer with a file. What belongs to the page is kept for an hour, the page itself is not.
fn file(call: &Call, asset: &Asset, is_page: bool, csp: HeaderValue) -> Reply {
    let known = call.request.header(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == asset.tag));
    let mut reply = if is_known && call.request.is_safe() {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        Reply { body: asset.bytes.to_vec(), ..Reply::empty(StatusCode::OK) }
    };
    reply.headers.insert(header::ETAG, ascii(asset.tag.clone()));
    reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    reply.headers.insert(header::CONTENT_SECURITY_POLICY, csp);
    if !is_page {
        reply.headers.insert(header::CACHE_CONTROL, ONE_HOUR);
    }
    reply
}
