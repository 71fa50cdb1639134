//! What can be uploaded.

use serde::Serialize;

use crate::{Change, Object, Permissions};

/// What can be uploaded: data, with its id or without; an [`Object`], with its id and permissions;
/// or a [`Change`], which can be a deletion.
pub trait Item: Send + 'static {
    /// The data.
    #[doc(hidden)]
    type Data: Serialize;

    /// What is done.
    #[doc(hidden)]
    fn operation(&self) -> Operation<'_, Self::Data>;
}

/// What is done with one object.
#[doc(hidden)]
#[derive(Debug)]
pub enum Operation<'a, D> {
    /// It is written. Without an id here, that in the data counts, or a new one.
    Put { id: Option<&'a str>, data: &'a D, permissions: Option<&'a Permissions> },
    /// It is deleted.
    Delete { id: &'a str },
}

impl<D: Serialize + Send + 'static> Item for D {
    type Data = D;

    fn operation(&self) -> Operation<'_, D> {
        Operation::Put { id: None, data: self, permissions: None }
    }
}

impl<D: Serialize + Send + 'static> Item for Object<D> {
    type Data = D;

    fn operation(&self) -> Operation<'_, D> {
        let Self { id, data, permissions, .. } = self;
        Operation::Put { id: Some(id), data, permissions: permissions.as_ref() }
    }
}

impl<D: Serialize + Send + 'static> Item for Change<D> {
    type Data = D;

    fn operation(&self) -> Operation<'_, D> {
        match self {
            Self::Changed(object) => object.operation(),
            Self::Deleted(tombstone) => Operation::Delete { id: &tombstone.id },
        }
    }
}
