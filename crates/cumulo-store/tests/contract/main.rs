//! The laws of the port, one test per case and backend.
//!
//! A backend is done when `store_contract!` is green for it. A new case goes to the module of its
//! subject and to the table in [`store_contract`]; a case that is missing there is dead code.

#![expect(clippy::unwrap_used, clippy::format_push_string, reason = "tests")]

mod db;
mod deletion;
mod listing;
mod model;
mod moving;
mod objects;
mod outbox;
mod permissions;
mod queries;
mod timestamps;
mod transactions;
mod upkeep;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use cumulo_servers as servers;
use cumulo_store::{Durability, Memory, Options, Postgres, PostgresOptions, Sqlite};

/// Expands to one test per case for the store that `$open` makes from a clock; what it returns
/// beside the store lives as long as the test.
macro_rules! store_contract {
    ($backend:ident, $open:expr) => {
        mod $backend {
            store_contract! { @cases $open;
                timestamps:
                    a_touched_list_keeps_its_timestamp,
                    timestamps_increase_while_the_clock_stands_still,
                    timestamps_increase_when_the_clock_goes_back,
                    the_clock_is_followed_when_it_is_ahead,
                    a_past_timestamp_is_kept_and_moves_no_list,
                    a_future_timestamp_moves_the_list,
                    the_first_object_sets_the_list_timestamp,
                    the_list_timestamp_is_not_taken_twice,
                    a_taken_timestamp_is_refused,
                    an_object_may_keep_its_own_timestamp,
                    deletes_choose_timestamps_like_puts,
                    lists_have_their_own_timestamps,
                    setting_permissions_moves_no_timestamp;
                objects:
                    what_is_put_is_read_back,
                    a_missing_object_is_none,
                    a_put_replaces,
                    a_delete_leaves_a_tombstone,
                    a_tombstone_is_deleted_no_more,
                    a_put_resurrects_a_tombstone,
                    a_put_without_permissions_keeps_them,
                    permissions_can_be_replaced_and_emptied,
                    permissions_of_missing_objects_are_not_set,
                    resources_and_parents_are_apart,
                    odd_ids_and_parents_match_exactly,
                    large_data_survives;
                listing:
                    the_default_order_is_newest_first,
                    limits_bound_a_listing,
                    tombstones_are_listed_when_asked,
                    bounds_on_the_timestamp_select,
                    ids_restrict_a_listing,
                    counts_follow_the_filters,
                    counts_ignore_order_page_and_limit,
                    a_visitor_can_stop_a_listing,
                    all_lists_of_a_resource_can_be_listed_together,
                    totals_tell_what_there_is_of_each_kind,
                    sorts_combine_fields;
                queries:
                    every_operator_is_understood,
                    odd_paths_are_found,
                    random_queries_match_the_oracle,
                    pages_cover_every_object_once;
                permissions:
                    shared_objects_are_found_by_permission,
                    shared_covers_one_list,
                    shared_forgets_what_was_deleted,
                    granted_names_each_object_once,
                    granted_can_be_asked_for_some_kinds,
                    a_principal_can_be_revoked_everywhere,
                    principals_match_exactly,
                    groups_are_sorted_and_unique,
                    joining_twice_is_joining_once,
                    leaving_ends_one_membership,
                    a_disbanded_group_has_no_members,
                    a_member_can_leave_all_groups;
                deletion:
                    all_below_is_removed,
                    erased_objects_leave_no_trace,
                    erasing_the_newest_keeps_the_timestamp,
                    erasing_can_be_undone,
                    siblings_with_wildcards_stay,
                    memberships_of_groups_below_are_removed,
                    the_object_itself_and_its_list_stay,
                    a_recreated_list_starts_later,
                    a_recreated_list_starts_later_after_the_clock_went_back,
                    an_undone_removal_moves_no_other_list,
                    a_recreated_list_starts_later_than_the_future,
                    a_removed_list_can_be_refilled_in_one_transaction,
                    many_objects_are_removed,
                    a_flush_empties_everything,
                    flushed_lists_start_later;
                transactions:
                    errors_roll_back,
                    the_rollback_outcome_rolls_back,
                    panics_roll_back_and_are_reported,
                    readers_can_not_write,
                    readers_may_open_savepoints,
                    savepoints_nest,
                    a_new_object_goes_with_its_savepoint_whatever_came_after_it,
                    savepoints_cover_permissions_and_memberships,
                    savepoints_cover_removals,
                    unbalanced_savepoints_are_refused,
                    a_transaction_sees_its_own_changes,
                    acknowledged_writes_are_seen_by_readers,
                    concurrent_writers_are_all_served,
                    a_failing_neighbor_harms_nobody,
                    dropping_the_future_does_not_stop_a_write,
                    a_closed_store_refuses_work;
                moving:
                    lists_come_in_order_and_in_pages,
                    lists_show_what_the_transaction_has_changed,
                    entries_come_oldest_first_with_tombstones,
                    entries_of_a_list_that_is_not_there_are_none,
                    memberships_come_in_order_and_in_pages,
                    a_restored_object_keeps_its_timestamp,
                    a_restored_object_replaces_what_has_its_id,
                    a_restored_tombstone_is_one,
                    a_restored_timestamp_is_not_taken_twice,
                    restoring_never_moves_a_list_back,
                    a_list_at_the_end_of_time_takes_nothing_and_loses_nothing,
                    restoring_can_be_undone,
                    restored_permissions_are_found,
                    timestamps_increase_after_restoring,
                    what_was_done_is_moved_whole,
                    random_content_survives_moving;
                upkeep:
                    purging_keeps_the_newest_tombstones,
                    purging_goes_by_age,
                    purging_is_bounded,
                    purging_leaves_objects_with_the_same_id,
                    purging_matches_names_exactly,
                    purging_never_moves_a_list_back,
                    purging_can_be_undone,
                    purged_objects_can_be_put_again,
                    what_is_moved_is_whole,
                    moving_matches_names_exactly,
                    a_moved_list_never_goes_back,
                    a_list_that_moved_away_starts_later,
                    moving_can_be_undone,
                    many_objects_are_moved,
                    counts_are_told_as_they_are,
                    a_store_in_order_has_no_flaws;
                outbox:
                    what_is_enqueued_is_claimed,
                    a_claimed_message_is_due_when_its_time_is_over,
                    the_longest_due_come_first,
                    queues_are_apart,
                    a_dequeued_message_is_gone,
                    a_postponed_message_waits,
                    a_message_can_be_given_up,
                    messages_share_the_fate_of_their_transaction,
                    messages_share_the_fate_of_their_savepoint,
                    claims_can_be_undone,
                    claimers_at_the_same_time_get_different_messages,
                    readers_only_look_at_messages,
                    a_flush_removes_messages;
                model:
                    random_transactions_match_the_model;
            }
        }
    };
    (@cases $open:expr; $($subject:ident: $($case:ident),+;)+) => {$(
        mod $subject {
            use super::super::*;

            $(
                #[test]
                fn $case() {
                    crate::$subject::$case(&crate::db::Db::open($open));
                }
            )+
        }
    )+};
}

store_contract!(memory, |clock| (Arc::new(Memory::new(clock)), Box::new(())));

store_contract!(sqlite, |clock| {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Off, ..Options::default() };
    let store = Sqlite::open(&dir.path().join("cumulo.db"), options, clock).unwrap();
    (Arc::new(store), Box::new(dir))
});

store_contract!(postgres, |clock| {
    let url = new_database();
    let options = PostgresOptions { pool_size: 4, max_overflow: 0, ..PostgresOptions::default() };
    (Arc::new(Postgres::open(&url, options, clock).unwrap()), Box::new(()))
});

/// A database with the tables and nothing in them.
fn new_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let url = servers::Postgres::shared().create_database(&format!("contract{number}")).unwrap();
    Postgres::migrate(&url, false).unwrap();
    url
}
