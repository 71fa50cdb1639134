//! What a request is likely to touch, told before it is answered.

use http::Method;
use serde_json::Value;

use crate::{
    api::Api,
    authorization::AUTHENTICATED,
    call::{Call, Endpoint},
    endpoint::{heartbeat, permissions},
    object::{List, Timestamp},
    paging,
    params::headers::{Preconditions, Tag},
    request::{Request, parse_query},
    resource::Target,
    store::{Outlook, Seen},
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

    /// The same for a read that a replica may answer, with what its sender has seen. None where
    /// only the storage itself will do.
    pub fn replica_outlook(&self, call: &Call) -> Option<Outlook> {
        let (list, id) = match &call.endpoint {
            // Who may log in is told at once.
            Endpoint::Resource(target) if target.resource.alone => return None,
            Endpoint::Resource(target) => (target.list.clone(), target.id.clone()),
            Endpoint::Plugin(index, _) => {
                let target = self.plugins[*index].target(self, call)?;
                (target.list, target.id)
            }
            Endpoint::Permissions => (permissions::list(), None),
            _ => return None,
        };
        let seen = latest_seen(&call.request).map(|at| Seen { list, id, at });
        Some(Outlook { seen, ..self.outlook(call) })
    }

    fn foresee(&self, call: &Call, outlook: &mut Outlook) {
        if let Some(user) = &call.user {
            outlook.add_members([AUTHENTICATED, user]);
        }
        match &call.endpoint {
            Endpoint::Resource(target) => self.foresee_at(target, call, outlook),
            Endpoint::Heartbeat => outlook.writes.push(heartbeat::list()),
            Endpoint::Plugin(index, _) => {
                if let Some(target) = self.plugins[*index].target(self, call) {
                    self.foresee_at(&target, call, outlook);
                }
            }
            _ => {}
        }
    }

    fn foresee_at(&self, target: &Target, call: &Call, outlook: &mut Outlook) {
        outlook.add(target, call);
        if self.tells_anything() && !call.request.is_safe() {
            for plugin in &self.plugins {
                plugin.foresee(self, call, target, outlook);
            }
        }
    }
}

/// The latest timestamp that a request names: in its preconditions, its filters on the timestamp,
/// or the token of its page.
fn latest_seen(request: &Request) -> Option<Timestamp> {
    let tags = Preconditions::parse(&request.headers, &mut Vec::new());
    let tags = [tags.if_match, tags.if_none_match].into_iter().filter_map(|tag| match tag {
        Some(Tag::At(timestamp)) => Some(timestamp),
        _ => None,
    });
    let pairs = parse_query(&request.query).unwrap_or_default();
    tags.chain(pairs.iter().filter_map(|(name, value)| named_timestamp(name.trim(), value))).max()
}

fn named_timestamp(name: &str, value: &str) -> Option<Timestamp> {
    match name {
        "_token" => paging::last_modified(value),
        // The last of these is what clients send that were told of a change elsewhere.
        "_since" | "_before" | "_to" | "_expected" => timestamp(value),
        _ if name.ends_with("last_modified") => timestamp(value),
        _ => None,
    }
}

fn timestamp(text: &str) -> Option<Timestamp> {
    text.trim().trim_matches('"').parse().ok().map(Timestamp)
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

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::{object::Row, params::querystring::ListParams, query::Sort};

    fn seen(query: &str, headers: &[(&'static str, &'static str)]) -> Option<i64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let request = Request::new(Method::GET, "/v1/", query, map, Vec::new()).unwrap();
        latest_seen(&request).map(|at| at.0)
    }

    #[test]
    fn what_a_client_has_seen_is_the_latest_timestamp_it_names() {
        assert_eq!(seen("", &[]), None);
        assert_eq!(seen("_limit=5&_sort=-last_modified&age=7", &[]), None);
        assert_eq!(seen("_since=%2212%22&_before=11", &[]), Some(12));
        assert_eq!(seen("_since=12", &[("if-none-match", "\"13\"")]), Some(13));
        assert_eq!(seen("", &[("if-match", "\"14\""), ("if-none-match", "*")]), Some(14));
        assert_eq!(seen("gt_last_modified=15", &[]), Some(15));
        assert_eq!(seen("_expected=16&_to=1", &[]), Some(16));
        assert_eq!(seen("_since=null&_token=x", &[("if-none-match", "bad")]), None);
    }

    #[test]
    fn a_token_tells_where_the_page_before_ended() {
        let mut params = ListParams::default();
        params.query.sort.push(Sort { field: crate::query::Field::LastModified, descending: true });
        params.sort_names.push("last_modified".into());
        let last = Row { id: "a", last_modified: Timestamp(17), deleted: false, data: "{}" };
        let token = paging::Token::after(last, &params, 1).encode();
        let query = crate::request::encode_query([("_token", token.as_str())]);
        assert_eq!(seen(&query, &[]), Some(17));
    }
}
