//! Where paths lead, and which methods there are.

use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    api::Api,
    caching::Caching,
    call::Endpoint,
    error::{ApiError, Errno},
    plugin::Claim,
    reply::Reply,
    request::{PATH, Request},
};

impl Api {
    /// Where a path leads.
    pub fn route(&self, path: &str) -> Option<Endpoint> {
        let path = path.strip_prefix('/')?.strip_prefix(self.prefix.as_str())?;
        for (index, plugin) in self.plugins.iter().enumerate() {
            if let Some(claim) = plugin.claims(path) {
                return Some(Endpoint::Plugin(index, claim));
            }
        }
        match path {
            "/" => Some(Endpoint::Hello),
            "/__heartbeat__" => Some(Endpoint::Heartbeat),
            "/__lbheartbeat__" => Some(Endpoint::LbHeartbeat),
            "/__version__" => Some(Endpoint::Version),
            "/contribute.json" => Some(Endpoint::Contribute),
            "/batch" => Some(Endpoint::Batch),
            "/permissions" if self.settings.experimental_permissions_endpoint => {
                Some(Endpoint::Permissions)
            }
            "/__user_data__" => Some(Endpoint::UserData(String::new())),
            _ => match path.strip_prefix("/__user_data__/") {
                Some(principal) if !principal.is_empty() && !principal.contains('/') => {
                    Some(Endpoint::UserData(principal.to_owned()))
                }
                Some(_) => None,
                None => self.target(path).map(Endpoint::Resource),
            },
        }
    }

    /// The answer for a path that leads nowhere: a redirect, or 404.
    pub(crate) fn elsewhere(&self, request: &Request) -> Reply {
        let path = request.path.as_str();
        let first = path.trim_start_matches('/').split('/').next().unwrap_or("");
        let versioned =
            first.starts_with('v') && first[1..].starts_with(|c: char| c.is_ascii_digit());
        let redirectable = !path.contains(char::is_control);
        if !versioned && redirectable && self.settings.version_prefix_redirect_enabled {
            if request.method == Method::OPTIONS {
                return Reply::empty(StatusCode::OK);
            }
            let target = format!("/{}{path}", self.prefix);
            return self.redirect(
                request,
                &target,
                self.settings.version_prefix_redirect_ttl_seconds,
            );
        }
        let root = format!("/{}", self.prefix);
        if !path.starts_with(&root) {
            return ApiError::new(Errno::VersionNotAvailable)
                .with_message("The requested API version is not available on this server.")
                .into_reply();
        }
        if redirectable && self.settings.trailing_slash_redirect_enabled {
            let ttl = self.settings.trailing_slash_redirect_ttl_seconds;
            if path == root {
                return self.redirect(request, &format!("{root}/"), ttl);
            }
            if path.ends_with('/') {
                return self.redirect(request, path.trim_end_matches('/'), ttl);
            }
        }
        ApiError::url_not_found().into_reply()
    }

    fn redirect(&self, request: &Request, path: &str, ttl: i64) -> Reply {
        let path = percent_encoding::utf8_percent_encode(path, PATH);
        let mut location = format!("{}{path}", self.origin(request));
        if !request.query.is_empty() {
            location.push('?');
            location.push_str(&request.query);
        }
        let mut reply = Reply::empty(StatusCode::TEMPORARY_REDIRECT);
        reply.body = b"307 Temporary Redirect\n\nThe resource has been moved.\n".to_vec();
        let text = HeaderValue::from_static("text/plain; charset=UTF-8");
        reply.headers.insert(header::CONTENT_TYPE, text);
        if let Ok(location) = HeaderValue::try_from(location) {
            reply.headers.insert(header::LOCATION, location);
        }
        if let Ok(seconds) = u32::try_from(ttl) {
            Caching::Seconds(seconds).apply(&mut reply.headers, self.clock.now());
        }
        reply
    }

    /// The methods of an endpoint, as the `Allow` header has them.
    pub fn methods(&self, endpoint: &Endpoint) -> String {
        let enabled = possible_methods(endpoint)
            .iter()
            .filter(|method| self.is_enabled(endpoint, method))
            .map(Method::as_str);
        enabled.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }

    /// Whether an endpoint has a method.
    pub(crate) fn has_method(&self, endpoint: &Endpoint, method: &Method) -> bool {
        possible_methods(endpoint).contains(method) && self.is_enabled(endpoint, method)
    }

    /// Whether the settings leave this method on; HEAD goes where the GET of an object goes.
    fn is_enabled(&self, endpoint: &Endpoint, method: &Method) -> bool {
        let Endpoint::Resource(target) = endpoint else { return true };
        if self.settings.disabled_endpoints.is_empty() {
            return true;
        }
        let kind = if target.id.is_some() { "object" } else { "plural" };
        let of_get = *method == Method::HEAD && target.id.is_some();
        let method = if of_get { &Method::GET } else { method };
        let verb = method.as_str().to_ascii_lowercase();
        let key = format!("{kind}_{}_{verb}", target.resource.name);
        !self.settings.disabled_endpoints.contains(&key)
    }
}

/// The methods that an endpoint has if the settings leave them on.
fn possible_methods(endpoint: &Endpoint) -> &'static [Method] {
    match endpoint {
        Endpoint::Hello
        | Endpoint::Heartbeat
        | Endpoint::LbHeartbeat
        | Endpoint::Version
        | Endpoint::Contribute => &[Method::GET, Method::HEAD],
        Endpoint::Permissions => &[Method::HEAD, Method::GET],
        Endpoint::Batch => &[Method::POST],
        Endpoint::UserData(principal) if !principal.is_empty() => &[Method::DELETE],
        Endpoint::Plugin(_, Claim::Methods(methods)) => methods,
        Endpoint::UserData(_) | Endpoint::Plugin(_, Claim::Everything) => &[],
        Endpoint::Resource(target) if target.id.is_some() => target.resource.object_methods,
        Endpoint::Resource(target) => target.resource.plural_methods,
    }
}
