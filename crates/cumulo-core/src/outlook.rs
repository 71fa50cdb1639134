//! What a request is likely to touch, told before it is answered.

use http::Method;
use serde_json::Value;

use crate::{
    api::Api,
    authorization::AUTHENTICATED,
    call::{Call, Endpoint},
    endpoint::heartbeat,
    request::percent_decode,
    resource::Target,
    store::Outlook,
};

impl Api {
    /// What the answer to a call is likely to touch. Nothing is refused here: what is malformed
    /// is only left out.
    pub fn outlook(&self, call: &Call) -> Outlook {
        let mut outlook = Outlook::default();
        if let Some(user) = &call.user {
            outlook.members = vec![AUTHENTICATED.to_owned(), user.clone()];
        }
        match &call.endpoint {
            Endpoint::Resource(target) => {
                outlook.add(target, &call.request.method, call.body.as_ref().ok());
            }
            Endpoint::Batch => self.foresee_items(call, &mut outlook),
            Endpoint::Heartbeat => outlook.writes.push(heartbeat::list()),
            Endpoint::Plugin(index) => {
                if let Some(target) = self.plugins[*index].target(self, call, &call.request.path) {
                    outlook.add(&target, &call.request.method, call.body.as_ref().ok());
                }
            }
            _ => {}
        }
        outlook
    }

    fn foresee_items(&self, batch: &Call, outlook: &mut Outlook) {
        let Ok(body) = &batch.body else { return };
        let items = body.get("requests").and_then(Value::as_array);
        let most = self.settings.batch_max_requests.filter(|max| *max > 0).unwrap_or(usize::MAX);
        for item in items.into_iter().flatten().take(most) {
            let of = |name| item.get(name).or_else(|| body.get("defaults")?.get(name));
            let method = of("method").and_then(Value::as_str).unwrap_or("GET");
            let Ok(method) = Method::from_bytes(method.as_bytes()) else { continue };
            let Some(path) = of("path").and_then(Value::as_str) else { continue };
            if let Some(target) = self.foresee_target(batch, path) {
                outlook.add(&target, &method, of("body"));
            }
        }
    }

    /// Where the path of an item leads.
    fn foresee_target(&self, batch: &Call, path: &str) -> Option<Target> {
        let path = percent_decode(path.split('?').next()?)?;
        let prefix = format!("/{}", self.prefix());
        let path = if path.starts_with(&prefix) { path } else { prefix + &path };
        match self.route(&path)? {
            Endpoint::Resource(target) => Some(target),
            Endpoint::Plugin(index) => self.plugins[index].target(self, batch, &path),
            _ => None,
        }
    }
}

impl Outlook {
    fn add(&mut self, target: &Target, method: &Method, body: Option<&Value>) {
        for ancestor in &target.ancestors {
            self.add_object(&ancestor.list, &ancestor.id);
        }
        let posted = || body?.get("data")?.get("id")?.as_str();
        if let Some(id) = target.id.as_deref().or_else(posted) {
            self.add_object(&target.list, id);
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let lists = if is_read { &mut self.reads } else { &mut self.writes };
        if (!is_read || target.id.is_none()) && !lists.contains(&target.list) {
            lists.push(target.list.clone());
        }
    }

    fn add_object(&mut self, list: &crate::object::List, id: &str) {
        if !self.objects.iter().any(|(known, other)| other == id && known == list) {
            self.objects.push((list.clone(), id.to_owned()));
        }
    }
}
