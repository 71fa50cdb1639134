//! Who was given what, and who belongs where.

use std::sync::Arc;

use cumulo_core::{
    object::{Acl, List},
    resource::uri_of,
};

use crate::db::{Db, acl, posts};

const GROUP: &str = "/buckets/blog/groups/g";

fn drafts() -> List {
    List::new("/buckets/blog/collections/drafts", "record")
}

fn granted(db: &Db, principals: &[&str]) -> Vec<(String, Arc<Acl>)> {
    let principals: Vec<_> = principals.iter().map(ToString::to_string).collect();
    let grants = db.read(move |tx| tx.granted(&principals, None));
    let name = |list: &List, id: &str| format!("{} {} {id}", list.parent, list.resource);
    let mut named: Vec<_> =
        grants.into_iter().map(|grant| (name(&grant.list, &grant.id), grant.acl)).collect();
    named.sort_unstable();
    named
}

pub(crate) fn shared_objects_are_found_by_permission(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.put_acl(&posts(), "b", &acl("write", "alice"));
    db.put_acl(&posts(), "c", &acl("read", "bob"));
    db.put(&posts(), "d");
    let shared = |principals: &[&str], permissions: &'static [&'static str]| {
        let principals: Vec<_> = principals.iter().map(ToString::to_string).collect();
        let mut ids = db.read(move |tx| tx.shared(&posts(), &principals, permissions));
        ids.sort_unstable();
        ids
    };
    assert_eq!(shared(&["alice"], &["read"]), ["a"]);
    assert_eq!(shared(&["alice"], &["read", "write"]), ["a", "b"]);
    assert_eq!(shared(&["alice", "bob"], &["read"]), ["a", "c"]);
    assert!(shared(&["alice"], &[]).is_empty());
    assert!(shared(&[], &["read"]).is_empty());
    assert!(shared(&["carol"], &["read", "write"]).is_empty());
}

pub(crate) fn shared_covers_one_list(db: &Db) {
    for (list, id) in [(posts(), "a"), (drafts(), "b")] {
        db.put_acl(&list, id, &acl("read", "alice"));
    }
    assert_eq!(db.shared(&posts(), "alice"), ["a"]);
    assert_eq!(db.shared(&drafts(), "alice"), ["b"]);
    assert!(db.shared(&List::new("", "bucket"), "alice").is_empty());
}

pub(crate) fn shared_forgets_what_was_deleted(db: &Db) {
    db.put_acl(&posts(), "a", &acl("read", "alice"));
    db.delete(&posts(), "a");
    assert!(db.shared(&posts(), "alice").is_empty());
    assert!(granted(db, &["alice"]).is_empty());
    db.put(&posts(), "a");
    assert!(db.shared(&posts(), "alice").is_empty());
}

pub(crate) fn granted_names_each_object_once(db: &Db) {
    let mut both = acl("read", "alice");
    both.add("write", "alice");
    both.add("write", "bob");
    db.put_acl(&posts(), "a", &both);
    db.put_acl(&drafts(), "b", &acl("read", "bob"));
    db.put_acl(&List::new("", "bucket"), "blog", &acl("write", "carol"));
    let bucket = (" bucket blog".to_owned(), Arc::new(acl("write", "carol")));
    let draft =
        ("/buckets/blog/collections/drafts record b".to_owned(), Arc::new(acl("read", "bob")));
    let post = ("/buckets/blog/collections/posts record a".to_owned(), Arc::new(both));
    assert_eq!(granted(db, &["alice", "bob"]), [draft, post.clone()]);
    assert_eq!(granted(db, &["alice"]), [post]);
    assert_eq!(granted(db, &["carol"]), [bucket]);
    assert!(granted(db, &[]).is_empty());
}

pub(crate) fn granted_can_be_asked_for_some_kinds(db: &Db) {
    let (bucket, blog) = (List::new("", "bucket"), "/buckets/blog");
    db.put_acl(&bucket, "blog", &acl("read", "alice"));
    db.put_acl(&List::new(blog, "group"), "g", &acl("read", "alice"));
    db.put_acl(&posts(), "a", &acl("write", "alice"));
    db.put_acl(&drafts(), "a", &acl("read", "alice"));
    db.put_acl(&List::new("", "account"), "history", &acl("read", "alice"));
    // In two lists, and of no kind that is asked for.
    for parent in [blog, "/buckets/other"] {
        db.put_acl(&List::new(parent, "history"), "e", &acl("read", "alice"));
    }
    let granted = |kinds: &'static [&'static str]| {
        let grants = db.read(move |tx| tx.granted(&["alice".into()], Some(kinds)));
        let mut uris: Vec<_> = grants.iter().map(|it| uri_of(&it.list, &it.id)).collect();
        uris.sort_unstable();
        uris
    };
    let records =
        ["/buckets/blog/collections/drafts/records/a", "/buckets/blog/collections/posts/records/a"];
    assert_eq!(granted(&["record"]), records);
    assert_eq!(granted(&["group", "bucket"]), [blog, "/buckets/blog/groups/g"]);
    assert_eq!(granted(&["account", "collection"]), ["/accounts/history"]);
    assert_eq!(granted(&["history"]), ["/buckets/blog/history/e", "/buckets/other/history/e"]);
    assert!(granted(&[]).is_empty());
    assert_eq!(db.read(|tx| tx.granted(&["alice".into()], None)).len(), 7);
}

pub(crate) fn a_principal_can_be_revoked_everywhere(db: &Db) {
    let mut both = acl("read", "alice");
    both.add("write", "alice");
    both.add("write", "bob");
    let entries = List::new("/buckets/blog", "history");
    for id in ["a", "b"] {
        db.put_acl(&posts(), id, &both);
    }
    db.put_acl(&drafts(), "a", &both);
    db.put_acl(&entries, "e", &acl("read", "alice"));
    db.put_acl(&drafts(), "c", &acl("read", "alice2"));
    let places = [(posts(), "a"), (posts(), "b"), (drafts(), "a"), (entries, "e"), (drafts(), "c")];
    let acls = |db: &Db| {
        let read = places.clone().map(|(list, id)| db.read(move |tx| tx.acl(&list, id)).unwrap());
        read.map(|acl| Acl::clone(&acl))
    };
    let before = acls(db);
    let timestamp = db.read(|tx| tx.timestamp(&posts()));
    // Undone first, and what the transaction itself sees.
    db.write(move |tx| {
        tx.savepoint()?;
        tx.revoke("alice")?;
        assert_eq!(tx.acl(&posts(), "a")?.as_deref(), Some(&acl("write", "bob")));
        tx.rollback()?;
        assert_eq!(tx.acl(&posts(), "a")?.as_deref(), Some(&both));
        Ok(())
    });
    assert_eq!(acls(db), before);
    db.write(|tx| tx.revoke("alice"));
    let bobs = || acl("write", "bob");
    assert_eq!(acls(db), [bobs(), bobs(), bobs(), Acl::default(), acl("read", "alice2")]);
    assert!(granted(db, &["alice"]).is_empty());
    assert_eq!(granted(db, &["bob"]).len(), 3);
    assert_eq!(db.read(|tx| tx.timestamp(&posts())), timestamp);
    db.write(|tx| tx.revoke("nobody"));
    assert_eq!(granted(db, &["bob"]).len(), 3);
}

pub(crate) fn principals_match_exactly(db: &Db) {
    let odd = ["a_c", "a%c", "a*c", "abc", "a'c", "a\"c", "ä\u{1F600}c", "A_C", "a\\c", "a,c"];
    for principal in odd {
        db.put_acl(&posts(), principal, &acl("read", principal));
        db.join(principal, &format!("/groups/{principal}"));
    }
    for principal in odd {
        assert_eq!(db.shared(&posts(), principal), [principal]);
        assert_eq!(granted(db, &[principal]).len(), 1);
        assert_eq!(db.groups(principal), [format!("/groups/{principal}")]);
    }
}

pub(crate) fn groups_are_sorted_and_unique(db: &Db) {
    for (member, group) in [("alice", "/g/2"), ("alice", "/g/1"), ("bob", "/g/2"), ("bob", "/g/3")]
    {
        db.join(member, group);
    }
    let groups = |members: &'static [&'static str]| db.read(|tx| tx.groups(members)).to_vec();
    assert_eq!(groups(&["bob", "alice", "carol"]), ["/g/1", "/g/2", "/g/3"]);
    assert_eq!(groups(&["bob"]), ["/g/2", "/g/3"]);
    assert!(groups(&["carol"]).is_empty());
    assert!(groups(&[]).is_empty());
    assert!(groups(&["bobalice"]).is_empty());
}

pub(crate) fn joining_twice_is_joining_once(db: &Db) {
    for _ in 0..2 {
        db.join("alice", GROUP);
        assert_eq!(db.groups("alice"), [GROUP]);
    }
    db.write(|tx| tx.leave("alice", GROUP));
    assert!(db.groups("alice").is_empty());
}

pub(crate) fn leaving_ends_one_membership(db: &Db) {
    for (member, group) in [("alice", GROUP), ("alice", "/g"), ("bob", GROUP)] {
        db.join(member, group);
    }
    assert_eq!(db.groups("alice").len(), 2);
    db.write(|tx| tx.leave("alice", GROUP));
    db.write(|tx| tx.leave("alice", "/none"));
    assert_eq!(db.groups("alice"), ["/g"]);
    assert_eq!(db.groups("bob"), [GROUP]);
}

pub(crate) fn a_disbanded_group_has_no_members(db: &Db) {
    for (member, group) in [("alice", GROUP), ("alice", "/g"), ("bob", GROUP)] {
        db.join(member, group);
    }
    assert_eq!(db.groups("bob"), [GROUP]);
    db.write(|tx| tx.disband(GROUP));
    assert_eq!(db.groups("alice"), ["/g"]);
    assert!(db.groups("bob").is_empty());
}

pub(crate) fn a_member_can_leave_all_groups(db: &Db) {
    for (member, group) in [("alice", GROUP), ("alice", "/g"), ("bob", GROUP)] {
        db.join(member, group);
    }
    assert_eq!(db.groups("alice").len(), 2);
    db.write(|tx| tx.leave_all("alice"));
    assert!(db.groups("alice").is_empty());
    assert_eq!(db.groups("bob"), [GROUP]);
}
