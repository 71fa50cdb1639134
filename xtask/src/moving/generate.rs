//! An export of as many random records as you like.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Result;
use cumulo_core::object::{Acl, List, Row, TOMBSTONE, Timestamp};
use cumulo_core::store::Membership;
use cumulo_moving::digest::Content;
use cumulo_moving::export::header;
use cumulo_moving::format::{self, Line, Trailer, Writer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many collections the records are in.
const COLLECTIONS: u64 = 10;
/// When the first record was changed.
const START: i64 = 1_700_000_000_000;

struct Generator {
    writer: Writer<BufWriter<File>>,
    content: Content,
    trailer: Trailer,
    random: StdRng,
}

/// Writes an export with records of about 300 bytes, some of them tombstones.
pub(super) fn export(path: &Path, records: u64, seed: u64) -> Result<()> {
    let mut it = Generator {
        writer: Writer::new(BufWriter::new(File::create(path)?)),
        content: Content::default(),
        trailer: Trailer::default(),
        random: StdRng::seed_from_u64(seed),
    };
    it.writer.write(&Line::Header(header(Timestamp(START), "xtask")))?;
    it.list("", "bucket", START)?;
    it.entry("blog", START, "{}")?;
    it.list("/buckets/blog", "collection", START + 1_000)?;
    for n in 0..COLLECTIONS {
        it.entry(&n.to_string(), START + i64::try_from(n)?, r#"{"schema":{"type":"object"}}"#)?;
    }
    for n in 0..COLLECTIONS {
        let share = records / COLLECTIONS + u64::from(n < records % COLLECTIONS);
        it.records(&format!("/buckets/blog/collections/{n}"), i64::try_from(share)?)?;
    }
    for n in 0..100 {
        let group = format!("/buckets/blog/groups/{n:03}");
        let membership = Membership { member: "basicauth:alice".into(), group };
        it.content.membership(&membership);
        it.trailer.memberships += 1;
        let line =
            format::Membership { member: membership.member, group: membership.group.clone() };
        it.writer.write(&Line::Membership(line))?;
    }
    it.trailer.content = it.content.finish();
    it.writer.finish(it.trailer)?;
    Ok(())
}

impl Generator {
    fn records(&mut self, parent: &str, share: i64) -> Result<()> {
        self.list(parent, "record", START + 10 * share + 1_000_000)?;
        for n in 0..share {
            let id = format!("{:032x}", self.random.random::<u128>());
            let at = START + 10 * n + self.random.random_range(0..10);
            if self.random.random_ratio(1, 50) {
                self.entry(&id, at, TOMBSTONE)?;
                continue;
            }
            let (price, big) = (self.random.random_range(0..99_999), self.random.random::<u128>());
            let text = "Füll \\\"text\\\" ".repeat(self.random.random_range(5..20));
            let data = format!(
                r#"{{"title":"Record {n}","price":{price}.50,"big":{big},"tags":["a","b"],"text":"{text}"}}"#
            );
            self.entry(&id, at, &data)?;
        }
        Ok(())
    }

    fn list(&mut self, parent: &str, resource: &'static str, last_modified: i64) -> Result<()> {
        self.content.list(&List::new(parent, resource));
        self.trailer.lists += 1;
        let (parent, resource) = (parent.to_owned(), resource.to_owned());
        let line = format::List { parent, resource, last_modified };
        Ok(self.writer.write(&Line::List(line))?)
    }

    fn entry(&mut self, id: &str, last_modified: i64, data: &str) -> Result<()> {
        let deleted = data == TOMBSTONE;
        let mut acl = Acl::default();
        if !deleted {
            acl.add("write", &format!("basicauth:{}", self.random.random_range(0..50)));
        }
        let row = Row { id, last_modified: Timestamp(last_modified), deleted, data };
        self.content.entry(row, &acl)?;
        *if deleted { &mut self.trailer.tombstones } else { &mut self.trailer.objects } += 1;
        let permissions: Cow<'_, BTreeMap<_, _>> = Cow::Borrowed(&acl.0);
        let data = if deleted { None } else { Some(serde_json::from_str(data)?) };
        let line = format::Object { id: id.into(), last_modified, deleted, data, permissions };
        Ok(self.writer.write(&Line::Object(line))?)
    }
}
