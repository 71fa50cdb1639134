//! What a request is likely to touch, told before it is answered.

use http::Method;
use serde_json::Value;

use crate::{
    api::Api,
    authorization::AUTHENTICATED,
    call::{Call, Endpoint},
    endpoint::heartbeat,
    object::List,
    resource::Target,
    store::Outlook,
};

impl Api {
    /// What the answer to a call is likely to touch. Nothing is refused here: what is malformed
    /// is only left out.
    pub fn outlook(&self, call: &Call) -> Outlook {
        let mut outlook = Outlook::default();
        for call in call.singles() {
            self.foresee(call, &mut outlook);
        }
        outlook
    }

    fn foresee(&self, call: &Call, outlook: &mut Outlook) {
        if let Some(user) = &call.user {
            outlook.add_members([AUTHENTICATED, user]);
        }
        match &call.endpoint {
            Endpoint::Resource(target) => outlook.add(target, call),
            Endpoint::Heartbeat => outlook.writes.push(heartbeat::list()),
            Endpoint::Plugin(index) => {
                if let Some(target) = self.plugins[*index].target(self, call) {
                    outlook.add(&target, call);
                }
            }
            _ => {}
        }
    }
}

impl Outlook {
    fn add(&mut self, target: &Target, call: &Call) {
        for ancestor in &target.ancestors {
            self.add_object(&ancestor.list, &ancestor.id);
        }
        let body = call.body.as_ref().ok();
        let posted = || body?.get("data")?.get("id").and_then(Value::as_str);
        if let Some(id) = target.id.as_deref().or_else(posted) {
            self.add_object(&target.list, id);
        }
        let is_read = matches!(call.request.method, Method::GET | Method::HEAD);
        let lists = if is_read { &mut self.reads } else { &mut self.writes };
        if (!is_read || target.id.is_none()) && !lists.contains(&target.list) {
            lists.push(target.list.clone());
        }
    }

    fn add_object(&mut self, list: &List, id: &str) {
        if !self.objects.iter().any(|(known, other)| other == id && known == list) {
            self.objects.push((list.clone(), id.to_owned()));
        }
    }

    fn add_members(&mut self, members: [&str; 2]) {
        for member in members {
            if !self.members.iter().any(|known| known == member) {
                self.members.push(member.to_owned());
            }
        }
    }
}
