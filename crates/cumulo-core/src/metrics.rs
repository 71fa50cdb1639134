//! The port to measurements: what is told to a system that watches the service.
//!
//! Names and labels are those of Kinto, with dots: `backend.storage.seconds`. A plugin implements
//! the port ([`Plugin::metrics`](crate::plugin::Plugin::metrics)) and writes them as its system
//! wants. Nobody measures anything unless there is one.

use std::time::Duration;

use crate::{
    api::Api,
    call::{Call, Endpoint},
    resource::Target,
};

/// The name of a label and its value.
pub type Label<'a> = (&'a str, &'a str);

/// Takes measurements. It must not block.
pub trait Metrics: Send + Sync {
    /// Something took so long.
    fn timing(&self, name: &str, took: Duration, labels: &[Label<'_>]);

    /// Something was so large.
    fn size(&self, name: &str, size: u64, labels: &[Label<'_>]);

    /// Something has happened once more. With labels, systems that know sets count how many
    /// different ones there are.
    fn count(&self, name: &str, labels: &[Label<'_>]);
}

impl Endpoint {
    /// The name of the endpoint in metrics, such as `record-plural`.
    pub fn name(&self, api: &Api, path: &str) -> String {
        match self {
            Self::Hello => "hello".into(),
            Self::Heartbeat => "heartbeat".into(),
            Self::LbHeartbeat => "lbheartbeat".into(),
            Self::Version => "version".into(),
            Self::Contribute => "contribute.json".into(),
            Self::Openapi(_) => "openapi".into(),
            Self::Batch => "batch".into(),
            Self::Permissions => "permissions-plural".into(),
            Self::UserData(_) => "user-data-object".into(),
            Self::Resource(Target { resource, id: Some(_), .. }) => {
                format!("{}-object", resource.name)
            }
            Self::Resource(target) => format!("{}-plural", target.resource.name),
            Self::Plugin(index, _) => {
                let path = path.get(1 + api.prefix().len()..).unwrap_or(path);
                api.plugins[*index].endpoint_name(path).into()
            }
        }
    }
}

impl Call {
    /// The id that the path has for this kind of object; none if it names no such object.
    pub fn id_in_path(&self, resource: &str) -> Option<&str> {
        let Endpoint::Resource(target) = &self.endpoint else { return None };
        if target.resource.name == resource {
            return target.id.as_deref();
        }
        target.ancestor_id(resource)
    }
}
