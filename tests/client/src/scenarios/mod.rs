//! What people do with the client, by subject.

mod accounts;
mod batch;
mod buckets;
mod collections;
mod conditions;
mod filters;
mod groups;
mod history;
mod lists;
mod patches;
mod permissions;
mod records;
mod replication;
mod server;

use anyhow::Result;

use crate::face::Face;
use crate::test::Test;

/// The names of all scenarios, and the function that runs one of them.
macro_rules! scenarios {
    ($($module:ident: $($name:ident)+;)+) => {
        pub(crate) const NAMES: &[&str] = &[$($(stringify!($name)),+),+];

        pub(crate) async fn run<F: Face>(name: &str, test: &Test<F>) -> Result<()> {
            F::done(test.client.flush()).await?;
            match name {
                $($(stringify!($name) => $module::$name(test).await,)+)+
                _ => unreachable!("a name of `NAMES`"),
            }
        }
    };
}

scenarios! {
    buckets:
        whoever_creates_a_bucket_may_write_it
        a_bucket_that_exists_is_taken_as_it_is
        a_bucket_that_exists_is_not_created_again
        buckets_are_listed
        a_bucket_is_read
        a_patch_keeps_fields_and_an_update_replaces_them
        forbidden_and_missing_are_told_apart
        a_deleted_bucket_is_gone
        a_bucket_is_deleted_if_it_exists
        all_buckets_are_deleted
        a_bucket_is_shared
        what_is_public_is_read_by_everyone
        everybody_has_a_bucket_called_default;
    groups:
        a_group_is_read_with_its_permissions
        a_group_that_exists_is_taken_as_it_is
        a_group_needs_its_bucket
        a_group_is_updated_and_patched
        groups_are_listed_and_deleted
        deleting_if_it_exists_fails_for_other_reasons
        members_have_the_rights_of_their_group;
    collections:
        a_collection_is_read_with_its_permissions
        a_collection_needs_its_bucket
        a_collection_that_exists_is_taken_as_it_is
        collections_are_listed_and_deleted
        a_deleted_collection_takes_its_records_along
        a_collection_is_patched
        a_collection_is_shared
        a_schema_tells_what_is_wrong;
    records:
        a_record_is_read_with_its_permissions
        a_record_needs_its_collection
        ids_come_from_argument_data_client_or_server
        ids_are_never_changed
        the_timestamp_is_that_of_the_last_change
        what_was_read_is_saved
        permissions_are_saved_too
        a_record_that_exists_is_not_created_again
        a_record_is_deleted
        all_records_are_deleted
        a_record_is_shared
        records_have_types_and_dates
        texts_of_all_kinds_come_back
        a_record_can_have_an_older_timestamp
        only_some_fields_are_read;
    conditions:
        a_conflict_has_the_object_that_is_there
        changes_can_depend_on_a_timestamp
        an_update_under_a_condition_creates_nothing
        not_modified_is_a_value
        an_unchanged_list_is_not_an_empty_one
        reads_can_depend_on_a_timestamp
        a_list_that_changed_is_not_deleted;
    lists:
        all_pages_are_read
        pages_come_one_by_one
        rows_come_one_by_one
        streams_end_with_their_error
        a_limit_spans_pages
        a_list_goes_on_where_it_ended
        objects_are_counted
        lists_are_sorted
        values_of_all_types_are_sorted
        what_changed_since_has_tombstones
        what_was_changed_before_is_listed
        some_records_are_deleted
        deleting_follows_pages
        groups_collections_and_buckets_have_pages
        answers_come_with_their_headers;
    filters:
        values_are_found_by_their_type
        texts_are_compared
        numbers_are_compared
        one_of_several_values_is_found
        text_is_searched
        presence_and_lists_are_asked_for;
    patches:
        a_patch_replaces_fields
        a_merge_patch_goes_deep
        a_json_patch_is_a_list_of_operations
        a_json_patch_is_done_whole_or_not_at_all
        permissions_are_granted_and_revoked
        permissions_are_changed_alone
        data_and_permissions_are_changed_together
        answers_have_as_much_as_is_wanted
        what_is_missing_is_not_patched;
    batch:
        results_come_in_order
        everything_is_read_in_batches
        a_bucket_may_be_called_like_a_version
        the_default_bucket_is_in_batches_too
        a_batch_is_split_by_the_servers_limit
        an_empty_batch_sends_nothing
        it_is_told_what_failed_and_why
        refusals_can_be_ignored
        batches_patch_update_and_delete
        deleting_many_is_one_operation
        not_modified_is_a_value_in_batches
        what_batches_cannot_do_is_refused_before;
    history:
        everything_is_noted
        changes_are_filtered
        history_is_counted
        history_is_purged;
    permissions:
        permissions_are_listed_on_all_pages
        others_see_what_they_may_do;
    accounts:
        people_make_accounts_and_change_passwords
        only_administrators_see_all_accounts;
    server:
        the_server_tells_about_itself
        flushing_leaves_nothing
        credentials_can_stand_in_the_url
        headers_go_with_requests
        bad_queries_are_invalid
        nothing_is_sent_in_dry_mode
        a_server_that_is_away_is_a_transport_error;
    replication:
        a_copy_follows_its_origin;
}
