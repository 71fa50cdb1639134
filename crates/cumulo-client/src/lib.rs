//! A client for Cumulo and
//! [Kinto](https://docs.kinto-storage.org/) servers, async and [`blocking`].
//!
//! ```no_run
//! use cumulo_client::{Basic, Client, field};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Todo {
//!     title: String,
//!     done: bool,
//! }
//!
//! # async fn run() -> cumulo_client::Result<()> {
//! let client = Client::builder("http://localhost:8888/v1")
//!     .auth(Basic::new("alexis", "p4ssw0rd"))
//!     .build()?;
//! let todos = client.collection("default", "todos").records().of::<Todo>();
//!
//! todos.create(Todo { title: "Buy milk".into(), done: false }).send().await?;
//! for mut todo in todos.list().filter(field("done").is(false)).all().await? {
//!     todo.data.done = true;
//!     todos.save(&todo).send().await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`], [`Bucket`], [`Collection`]: where; [`Resource`] and [`One`]: objects, and one object
//! - [`List`], [`Get`], [`Write`], [`Changes`], [`Delete`], [`DeleteMany`]: what is done with them
//! - [`Object`], [`Change`], [`Permissions`]: what they are
//! - [`Batch`]: many operations in few requests; [`Upload`]: a million records
//! - [`Error`]: what can go wrong; [`Retry`]: what is tried again
//! - [`Auth`], [`Basic`], [`Bearer`], [`auth::oidc`]: who asks
//! - [`attachment`]: files of records
//! - [`replication`]: what differs between two places, and how one becomes as the other is
//! - [`history`], [`changeset`], [`server`], [`permissions`]: what else a server tells
//! - `cli`, a feature: options of a command line that make a client

pub mod attachment;
pub mod auth;
mod batch;
pub mod blocking;
mod builder;
mod call;
pub mod changeset;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod delete;
mod error;
mod get;
pub mod history;
mod list;
mod object;
mod patch;
pub mod permissions;
mod progress;
mod query;
pub mod replication;
mod resource;
mod response;
mod review;
pub mod server;
mod slug;
mod snapshot;
mod task;
mod transport;
mod upload;
mod write;

pub use auth::{Auth, Basic, Bearer};
pub use batch::{Aggregate, Batch, Failure, Failures, Queue, Results, Ticket};
pub use builder::Builder;
pub use client::{AUTHENTICATED, Client, EVERYONE, Root};
pub use cumulo_wire::{Errno, Timestamp};
pub use delete::{Delete, DeleteIfExists, DeleteMany};
pub use error::{Error, Field as InvalidField, Refusal, Result};
pub use get::Get;
pub use list::{List, ListIfChanged, ListProgress, Page, PageToken};
pub use object::{Change, Fresh, Object, Permissions, Row, Tombstone};
pub use patch::Changes;
pub use query::{Field, Filter, field};
pub use resource::{Bucket, Collection, One, Resource};
pub use response::{Request, Response};
pub use slug::slugify;
#[doc(hidden)]
pub use transport::Connection;
pub use transport::{Async, Blocking, Direct, OnBackoff, Plan, Planned, Retry, Transport};
pub use upload::{Counts, Item, Summary, Unfinished, Upload, UploadProgress};
pub use write::{Behavior, Write};
